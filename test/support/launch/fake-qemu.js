// A fake of QEMU and the guest's agent for tests: connects to the sockets in its arguments and follows a script.
//
//   fake-qemu.js SCRIPT <QEMU's arguments>
//
// Scripts: 'never-connects', 'never-says-hello', 'panics', 'panics-and-hangs', 'powers-off', 'boots'. With 'boots', the
// machine can be saved and restored, and the agent runs the commands in `commands` below; likewise 'cannot-save' and
// 'cannot-load', each except for what its name says.
const { appendFileSync, writeFileSync } = require('node:fs');
const { connect } = require('node:net');
const { encode, decode } = require('msgpack-lite');

const [script, ...args] = process.argv.slice(2);
const chardev = (id) => args.find((argument) => argument.includes(`,id=${id},`));
const pathIn = (id, key) => new RegExp(`${key}=([^,]+)`).exec(chardev(id))[1];
const OOPS = [
  '[    1.500000] BUG: kernel NULL pointer dereference, address: 0000000000000008',
  '[    1.500001] Oops: 0000 [#1] PREEMPT SMP NOPTI',
  '[    1.500002]  crash_here+0x12/0x20',
  '[    1.500003] Kernel panic - not syncing: Fatal exception',
];

const isIncoming = args.includes('-incoming');
const AGENT_ANSWERS = ['boots', 'cannot-save', 'cannot-load'];
const RESULTS = {
  'query-status': { status: 'postmigrate' },
  'query-migrate': { 'error-desc': 'No space left on device' },
};

if (script === 'never-connects') setInterval(() => {}, 1000);
else main();

function main() {
  const qmp = connect(pathIn('qmp', 'path'));
  const agent = connect(pathIn('agent', 'path'));

  const say = (lines) => appendFileSync(pathIn('console', 'path'), lines.map((line) => `${line}\r\n`).join(''));
  const send = (message, then = () => {}) => qmp.write(`${JSON.stringify(message)}\r\n`, then);
  const end = () => process.exit(0);
  const panic = () => {
    say(OOPS);
    end();
  };
  const powerOff = () =>
    send({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } }, () => setImmediate(end));

  send({ QMP: { version: { qemu: { major: 11, minor: 1, micro: 3 } }, capabilities: [] } });
  let isBooting = isIncoming;
  let isRunning = !isIncoming;
  qmp.on('data', (chunk) => {
    for (const line of chunk.toString().trim().split('\n')) {
      const { execute, id, arguments: given } = JSON.parse(line);
      send({ return: RESULTS[execute] ?? {}, id }, execute === 'quit' ? end : undefined);
      if (!isBooting) bootNow();
      isBooting = true;
      if (execute === 'stop') isRunning = false;
      if (execute === 'cont') isRunning = true;
      if (execute === 'migrate') save(given.uri.slice('file:'.length));
      if (execute === 'migrate-incoming') load();
    }
  });

  const migration = (status) => send({ event: 'MIGRATION', data: { status } });
  const save = (file) => {
    writeFileSync(file, 'a machine');
    migration(script === 'cannot-save' ? 'failed' : 'completed');
  };
  const load = () => {
    if (script !== 'cannot-load') return migration('completed');
    say(
      Array.from({ length: 100 }, (_, line) => `[    2.000000] what a guest says that has been loaded, line ${line}`),
    );
    process.stderr.write('qemu: this is no machine\n');
    migration('failed');
  };

  const bootNow = () => {
    say(['[    0.000000] Linux version 6.1', '[    1.000000] Run /init as init process']);
    if (script === 'panics') panic();
    if (script === 'panics-and-hangs') say(OOPS);
    if (script === 'powers-off') powerOff();
  };

  const answer = (message) => {
    const body = encode(message);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(body.length);
    agent.write(Buffer.concat([length, body]));
  };
  const commands = {
    'hang': () => {},
    panic,
    'crash': () => process.kill(process.pid, 'SIGSEGV'),
    'poweroff': powerOff,
    'cat': (id) => exited(id, 1, '', 'there is no such file\n'),
    '/usr/bin/ghostcard-card-behind': (id, [port]) =>
      port.endsWith(':08.0')
        ? exited(id, 0, '0000:01:00.0\n', '')
        : exited(id, 1, '', `no function behind ${port} after 10 s\n`),
    '/usr/bin/ghostcard-bind': (id, [, driver]) =>
      driver === 'uio_pci_generic'
        ? exited(id, 0, '/dev/uio0\n', '')
        : exited(id, 1, '', `no driver module ${driver}\n`),
  };
  const exited = (id, exitCode, stdout, stderr) => {
    for (const [stream, text] of Object.entries({ stdout, stderr })) {
      if (text) answer({ type: 'output', id, stream, data: Buffer.from(text) });
    }
    answer({ type: 'exited', id, exitCode, timedOut: false, durationMs: 1 });
  };
  let held = Buffer.alloc(0);
  agent.on('data', (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= 4 && held.length >= 4 + held.readUInt32LE()) {
      const message = decode(held.subarray(4, 4 + held.readUInt32LE()));
      held = held.subarray(4 + held.readUInt32LE());
      if (message.type === 'exec') commands[message.argv[0]](message.id, message.argv.slice(1));
      if (message.type === 'fetch') {
        answer({ type: 'failed', id: message.id, code: 'ENOENT', message: 'there is no such file' });
      }
      if (message.type === 'renew' && isRunning) answer({ type: 'renewed', id: message.id });
      if (message.type === 'hello' && AGENT_ANSWERS.includes(script)) {
        const limits = { maxFrameBytes: 262144, windowBytes: 262144 };
        answer({ type: 'hello', id: message.id, protocol: 2, ...limits, pid: 1, kernel: '6.1', machine: 'x86_64' });
      }
    }
  });
}
