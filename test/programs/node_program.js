// A server of test/programs/http_clients.py, with a worker thread, a child process and timers.
'use strict';
const child_process = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const { Readable } = require('stream');
const { Worker } = require('worker_threads');

const [port, numbers] = process.argv.slice(2).map(Number);
const PATIENCE = 20000;

function waitUntil(condition, what) {
  const deadline = Date.now() + PATIENCE;
  return new Promise((resolve, reject) => {
    const look = () => {
      if (condition()) resolve();
      else if (Date.now() > deadline) reject(new Error(`in vain waited for ${what}`));
      else setTimeout(look, 5);
    };
    look();
  });
}

// Hashes its own chain all the time, and tells of it when it is asked.
const worker = new Worker(
  `const { parentPort } = require('worker_threads');
   const crypto = require('crypto');
   let steps = 0, digest = 'first';
   const step = () => {
     for (let i = 0; i < 100; ++i, ++steps) {
       digest = crypto.createHash('sha1').update(digest).digest('hex');
     }
     setTimeout(step, 1);
   };
   parentPort.on('message', () => parentPort.postMessage({ steps, digest }));
   step();`,
  { eval: true });

function askWorker() {
  return new Promise((resolve) => {
    worker.once('message', resolve);
    worker.postMessage('tell');
  });
}

function isChain({ steps, digest }) {
  let own = 'first';
  for (let i = 0; i < steps; ++i) own = crypto.createHash('sha1').update(own).digest('hex');
  return own === digest;
}

// Says what it is told.
const echo = child_process.spawn('/bin/cat');
let echoed = '';
echo.stdout.on('data', (data) => { echoed += data; });

let ticks = 0;
setInterval(() => { ++ticks; }, 10);

const data = crypto.randomBytes(1 << 20);
fs.writeFileSync('data', data);
const file = fs.openSync('data');
const half = Buffer.alloc(1 << 19);
fs.readSync(file, half);
const hash = crypto.createHash('sha256').update(half);

async function check() {
  const before = ticks;
  await waitUntil(() => ticks > before + 3, 'the timer');
  const told = await askWorker();
  if (told.steps === 0 || !isChain(told)) return 'the thread has another digest';
  echo.stdin.write('again');
  await waitUntil(() => echoed === 'once again', 'the child');
  const rest = Buffer.alloc(1 << 19);
  fs.readSync(file, rest);
  const whole = crypto.createHash('sha256').update(data).digest('hex');
  if (hash.update(rest).digest('hex') !== whole) return 'the file is another';
  return 'fine';
}

let sum = 0;
const server = http.createServer(async (request, response) => {
  const socket = request.socket;
  const [path, argument] = request.url.split('?');
  if (path === '/count') {
    socket.count = (socket.count || 0) + 1;
    response.end(`${socket.count}`);
  } else if (path === '/add') {
    sum += Number(argument);
    response.end(`${sum}`);
  } else if (path === '/slow') {
    Readable.from((function* lines() {
      for (let i = 0; i < numbers; i += 1000) {
        yield Array.from({ length: 1000 }, (_, j) => `${i + j}\n`).join('');
      }
    })()).pipe(response);
  } else {
    response.end(await check());
    echo.stdin.end();
    await worker.terminate();
    server.close(() => process.exit(0));
    server.closeAllConnections?.();
  }
});
server.keepAliveTimeout = 60000;
echo.stdin.write('once ');
waitUntil(() => echoed === 'once ' && ticks > 3, 'the child')
  .then(() => server.listen(port, '127.0.0.1', () => console.log('ready')));
