/**
 * The agent in a guest: below /init, on the virtio-serial port. The rest of it is tested on this machine, over a socket
 * (qemu/channel).
 */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';
import { Sitting } from '../support/sitting';

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ cards: [] });
});
afterAll(() => rig?.close());

const MiB = 1 << 20;
const sh = (script: string): string[] => ['sh', '-c', script];
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

it('the agent is not process 1, and reports its kernel', async () => {
  const { pid, kernel, machine } = rig.guest.channel.agent;
  expect(pid).toBeGreaterThan(1);
  const { stdout } = await rig.guest.run(['uname', '-rm']);
  expect(stdout.toString()).toBe(`${kernel} ${machine}\n`);
});

it('the agent transfers megabytes of both output streams completely, while another command runs', async () => {
  const silent = rig.guest.channel.start(['sleep', '1000'], { timeoutMs: Infinity });
  const { stdout, stderr } = await rig.guest.run(sh('head -c 8388608 /dev/zero & head -c 3000001 /dev/zero >&2; wait'));
  expect([stdout.length, stderr.length]).toEqual([8 * MiB, 3_000_001]);
  silent.signal('SIGTERM');
  expect(await silent.result).toMatchObject({ signal: 'SIGTERM', timedOut: false });
});

it('the agent passes megabytes of standard input on', async () => {
  const stdin = randomBytes(3 * MiB + 1);
  const { stdout } = await rig.guest.run(['sha256sum'], { stdin });
  expect(stdout.toString()).toContain(sha256(stdin));
});

it('a pushed file has its mode, and is the same when fetched', async () => {
  const bytes = randomBytes(5 * MiB + 3);
  await rig.guest.push('/tmp/pushed', bytes, 0o750);
  const { stdout } = await rig.guest.run(sh('stat -c %a /tmp/pushed; sha256sum < /tmp/pushed'));
  expect(stdout.toString()).toMatch(new RegExp(`^750\n${sha256(bytes)} `));
  expect((await rig.guest.fetch('/tmp/pushed')).equals(bytes)).toBe(true);
});

it('a command runs in a root of its own, in the given folder, by default in that root', async () => {
  await rig.guest.run(
    sh('mkdir -p /tmp/root/bin /tmp/root/work; cp /bin/busybox /tmp/root/bin/busybox-here; touch /tmp/root/mark'),
  );
  const list = ['busybox-here', 'sh', '-c', 'busybox-here pwd; busybox-here ls /'];
  const { stdout } = await rig.guest.channel.exec(list, { root: '/tmp/root', env: { PATH: '/bin' } });
  expect(stdout.toString()).toBe('/\nbin\nmark\nwork\n');
  const inFolder = await rig.guest.channel.exec(['/bin/busybox-here', 'pwd'], { root: '/tmp/root', cwd: 'work' });
  expect(inFolder.stdout.toString()).toBe('/work\n');
  await expect(rig.guest.channel.exec(['true'], { root: '/tmp/root', cwd: '/tmp' })).rejects.toThrow(
    /cannot change to folder \/tmp \(ENOENT\)/,
  );
  await expect(rig.guest.channel.exec(['sh'], { root: '/tmp/root' })).rejects.toMatchObject({ code: 'ENOENT' });
});

it('a shell has a terminal: its own devpts names it, and Ctrl-C interrupts jobs', async () => {
  const shell = new Sitting(rig.guest.channel, ['sh', '-i'], { terminal: { columns: 100, rows: 30 } });
  await shell.see(/> /);
  shell.type('tty; stty size; sh -c "echo started; exec sleep 1000"\n');
  await shell.see(/\/dev\/pts\/\d+\r\n30 100\r\nstarted\r\n/);
  shell.type('\x03');
  await shell.see(/> /);
  shell.command.resize({ columns: 80, rows: 25 });
  shell.type('stty size; exit 4\n');
  await shell.see(/25 80\r\n/);
  expect(await shell.result).toMatchObject({ exitCode: 4 });
});

it.each([
  ['shared with the agent', 'mount --bind /dev/pts /tmp/pts-root/dev/pts'],
  ['of its own', 'mount -t devpts -o newinstance,ptmxmode=0666 devpts /tmp/pts-root/dev/pts'],
])('a terminal has a name in a root with a devpts %s', async (_, mount) => {
  await rig.guest.run(sh('mkdir -p /tmp/pts-root/bin /tmp/pts-root/dev/pts; cp /bin/busybox /tmp/pts-root/bin/'));
  expect(await rig.guest.run(sh(mount))).toMatchObject({ exitCode: 0 });
  const options = { root: '/tmp/pts-root', terminal: { columns: 80, rows: 25 } };
  const { stdout } = await rig.guest.channel.exec(['/bin/busybox', 'tty'], options);
  expect(stdout.toString()).toMatch(/^\/dev\/pts\/\d+\r\n$/);
  await rig.guest.run(['umount', '/tmp/pts-root/dev/pts']);
});

it('the agent sets the time, host name and entropy of a restored guest', async () => {
  const realtimeMs = Date.UTC(2031, 4, 6, 7, 8, 9);
  await rig.guest.channel.renew({ realtimeMs, entropy: randomBytes(64), hostname: 'guest-7' });
  const { stdout } = await rig.guest.run(sh('date -u +%s; hostname'));
  const [seconds, hostname] = stdout.toString().split('\n');
  expect(Number(seconds) * 1000 - realtimeMs).toBeGreaterThanOrEqual(0);
  expect(Number(seconds) * 1000 - realtimeMs).toBeLessThan(60_000);
  expect(hostname).toBe('guest-7');
});

it('the processes of a command are killed at its time limit, and none is left as a zombie', async () => {
  const { timedOut, stdout } = await rig.guest.run(sh('sleep 1000 & echo $!; wait'), { timeoutMs: 2000 });
  expect(timedOut).toBe(true);
  const orphan = stdout.toString().trim();
  const gone = await rig.guest.run(sh(`while [ -e /proc/${orphan} ]; do usleep 10000; done`), { timeoutMs: 10_000 });
  expect(gone).toMatchObject({ exitCode: 0, timedOut: false });
});
