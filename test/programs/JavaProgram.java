import java.io.File;
import java.io.RandomAccessFile;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/**
 * A virtual machine with counting threads, blocked ones, a timer, garbage, and an open file.
 *
 * <p>Without java.nio's channels: from the first one on a JDK holds a socket pair for ever.
 */
public class JavaProgram {
  private static final int WORKERS = 4;
  private static final long SEED = 77;

  /** Draws from its own random numbers, and knows how many. */
  private static final class Worker extends Thread {
    private final Random random;
    private final long seed;
    private volatile boolean stop;
    private volatile long steps;
    private long sum;

    Worker(long seed) {
      super("worker-" + seed);
      this.seed = seed;
      this.random = new Random(seed);
    }

    @Override
    public void run() {
      while (!stop) {
        byte[] garbage = new byte[512];
        random.nextBytes(garbage);
        sum = sum * 31 + garbage[100];
        steps = steps + 1;
      }
    }

    boolean isRight() {
      Random twin = new Random(seed);
      byte[] bytes = new byte[512];
      long expected = 0;
      for (long i = 0; i < steps; ++i) {
        twin.nextBytes(bytes);
        expected = expected * 31 + bytes[100];
      }
      return expected == sum;
    }
  }

  private interface Condition {
    boolean holds() throws Exception;
  }

  private static void fail(String message) {
    System.out.println("FAIL: " + message);
    System.out.flush();
    Runtime.getRuntime().halt(1);
  }

  private static void expect(boolean condition, String what) {
    if (!condition) fail(what);
  }

  private static void waitUntil(Condition condition, String what) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (!condition.holds()) {
      expect(System.nanoTime() < deadline, "in vain waited for " + what);
      Thread.sleep(5);
    }
  }

  private static String digest(byte[] bytes) throws Exception {
    StringBuilder text = new StringBuilder();
    for (byte b : MessageDigest.getInstance("SHA-256").digest(bytes)) text.append(b).append(' ');
    return text.toString();
  }

  public static void main(String[] arguments) throws Exception {
    List<Worker> workers = new ArrayList<>();
    for (int i = 0; i < WORKERS; ++i) workers.add(new Worker(i));
    workers.forEach(Thread::start);
    AtomicLong ticks = new AtomicLong();
    ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1);
    timer.scheduleAtFixedRate(ticks::incrementAndGet, 0, 20, TimeUnit.MILLISECONDS);
    LinkedBlockingQueue<Integer> questions = new LinkedBlockingQueue<>();
    LinkedBlockingQueue<String> answers = new LinkedBlockingQueue<>();
    Thread answerer =
        new Thread(
            () -> {
              try {
                for (int q = questions.take(); q != 0; q = questions.take()) answers.put("a" + q);
              } catch (InterruptedException e) {
                fail("the answering thread was interrupted");
              }
            });
    answerer.start();
    Random random = new Random(SEED);
    byte[] data = new byte[8 << 20];
    random.nextBytes(data);
    String before = digest(data);
    ConcurrentHashMap<String, Integer> map = new ConcurrentHashMap<>();
    for (int i = 0; i < 10000; ++i) map.put("key " + i, i);
    RandomAccessFile file = new RandomAccessFile("data", "rw");
    file.write(data, 0, 4096);
    file.seek(1000);
    long pid = ProcessHandle.current().pid();
    waitUntil(() -> ticks.get() > 3 && workers.stream().allMatch(w -> w.steps > 100), "work");

    System.out.println("ready");
    waitUntil(() -> new File("go").exists(), "go");

    long ticksBefore = ticks.get();
    waitUntil(() -> ticks.get() > ticksBefore + 3, "the timer");
    for (Worker worker : workers) {
      long steps = worker.steps;
      waitUntil(() -> worker.steps > steps, worker.getName());
      worker.stop = true;
      worker.join();
      expect(worker.isRight(), worker.getName() + " has another sum");
    }
    questions.put(5);
    expect("a5".equals(answers.poll(30, TimeUnit.SECONDS)), "no answer");
    questions.put(0);
    answerer.join();
    System.gc();
    expect(before.equals(digest(data)), "the data are others");
    Random twin = new Random(SEED);
    twin.nextBytes(new byte[data.length]);
    for (int i = 0; i < 1000; ++i) expect(random.nextLong() == twin.nextLong(), "other numbers");
    for (int i = 0; i < 10000; ++i) expect(map.get("key " + i) == i, "another map");
    expect(file.getFilePointer() == 1000, "another offset");
    for (int i = 1000; i < 4096; ++i) expect(file.readByte() == data[i], "another file");
    expect(ProcessHandle.current().pid() == pid, "another pid");
    timer.shutdownNow();
    System.out.println("PASS");
  }
}
