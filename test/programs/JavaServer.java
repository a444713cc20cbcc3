import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.Pipe;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/** A server of test/programs/http_clients.py, which has channels of other kinds, too. */
public class JavaServer {
  private static final Map<InetSocketAddress, AtomicLong> counts = new ConcurrentHashMap<>();
  private static final AtomicLong sum = new AtomicLong();
  private static final AtomicLong heard = new AtomicLong();

  private static void answer(HttpExchange exchange, String text) throws IOException {
    exchange.sendResponseHeaders(200, text.length());
    try (OutputStream body = exchange.getResponseBody()) {
      body.write(text.getBytes());
    }
  }

  private static void count(HttpExchange exchange) throws IOException {
    AtomicLong count =
        counts.computeIfAbsent(exchange.getRemoteAddress(), unused -> new AtomicLong());
    answer(exchange, String.valueOf(count.incrementAndGet()));
  }

  private static void add(HttpExchange exchange) throws IOException {
    long number = Long.parseLong(exchange.getRequestURI().getQuery());
    answer(exchange, String.valueOf(sum.addAndGet(number)));
  }

  private static void sayNumbers(HttpExchange exchange, int numbers) throws IOException {
    exchange.sendResponseHeaders(200, 0);
    try (BufferedWriter body =
        new BufferedWriter(new OutputStreamWriter(exchange.getResponseBody()))) {
      for (int i = 0; i < numbers; ++i) body.write(i + "\n");
    }
  }

  /** Counts the bytes that come through a pipe, when a selector tells of them. */
  private static void listen(Pipe.SourceChannel source) {
    try (Selector selector = Selector.open()) {
      source.configureBlocking(false);
      source.register(selector, SelectionKey.OP_READ);
      ByteBuffer bytes = ByteBuffer.allocate(64);
      for (; ; ) {
        selector.select();
        selector.selectedKeys().clear();
        bytes.clear();
        heard.addAndGet(source.read(bytes));
      }
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void say(Pipe pipe, int bytes) throws Exception {
    long goal = heard.get() + bytes;
    pipe.sink().write(ByteBuffer.allocate(bytes));
    long deadline = System.nanoTime() + 20_000_000_000L;
    while (heard.get() < goal && System.nanoTime() < deadline) Thread.sleep(1);
    if (heard.get() != goal) throw new IllegalStateException("not all is heard");
  }

  public static void main(String[] arguments) throws Exception {
    int port = Integer.parseInt(arguments[0]);
    int numbers = Integer.parseInt(arguments[1]);
    Pipe pipe = Pipe.open();
    Thread listener = new Thread(() -> listen(pipe.source()));
    listener.setDaemon(true);
    listener.start();
    say(pipe, 10);
    byte[] data = new byte[1 << 20];
    new Random(5).nextBytes(data);
    FileChannel file =
        FileChannel.open(
            Path.of("data"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    file.write(ByteBuffer.wrap(data));
    file.position(1000);
    ByteBuffer mapped = file.map(FileChannel.MapMode.READ_WRITE, 0, data.length);

    InetAddress loopback = InetAddress.getByName("127.0.0.1");
    HttpServer server = HttpServer.create(new InetSocketAddress(loopback, port), 50);
    ExecutorService pool = Executors.newFixedThreadPool(4);
    server.setExecutor(pool);
    server.createContext("/count", JavaServer::count);
    server.createContext("/add", JavaServer::add);
    server.createContext("/slow", exchange -> sayNumbers(exchange, numbers));
    server.createContext(
        "/stop",
        exchange -> {
          String verdict = "fine";
          try {
            say(pipe, 20);
            ByteBuffer rest = ByteBuffer.allocate(10);
            file.read(rest);
            if (heard.get() != 30) verdict = "another pipe";
            if (rest.get(0) != data[1000] || file.position() != 1010) verdict = "another file";
            for (int i = 0; i < data.length; ++i) {
              if (mapped.get(i) != data[i]) verdict = "another mapping";
            }
          } catch (Exception e) {
            verdict = e.toString();
          }
          answer(exchange, verdict);
          server.stop(0);
          pool.shutdown();
        });
    server.start();
    System.out.println("ready");
  }
}
