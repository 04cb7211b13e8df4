/** A card that another process serves: its process may end, and be started again, while the guest runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Rig } from '../../qemu/rig';
import { runApp, startRig } from '../support/rig';

const folder = mkdtempSync(join(tmpdir(), 'remote-card-'));
const socketPath = join(folder, 'card.sock');
const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
const events: string[] = [];
let rig: Rig;
let server: Awaited<ReturnType<typeof serve>>;

/** A process that serves a reference card at the path; resolves when it does. */
async function serve() {
  const command = [cli, 'serve', '--card', 'reference', '--socket', socketPath, '--json'];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  await once(createInterface({ input: child.stdout }), 'line'); // it listens
  return { kill: () => (child.kill('SIGKILL'), ended) };
}

beforeAll(async () => {
  server = await serve();
  const onCardEvent = (card: string, message: string) => events.push(`${card}: ${message}`);
  rig = await startRig({ cards: [{ name: 'card', socketPath, driver: 'uio_pci_generic' }], onCardEvent });
});
afterAll(async () => {
  await rig?.close();
  await server?.kill();
  rmSync(folder, { recursive: true });
});

it('works like one that this process serves, and its model is not accessible', async () => {
  await runApp(rig, 'card', ['gc-loopback', '--irq', 'intx']);
  expect(() => rig.card('card')).toThrow(/the card 'card' is served by another process, at \S+card\.sock/);
  await expect(rig.restartCard('card')).rejects.toThrow('which is still there: end that process');
  expect(rig.modelErrors).toEqual([]);
});

it('is reported when its process ends, and the guest, which runs on, reads all ones', async () => {
  await server.kill();
  await expect.poll(() => rig.modelErrors.length, { timeout: 10_000 }).toBe(1);
  expect(events.at(-1)).toMatch(
    /^card: the process that serves the card 'card' at \S+ has gone, or has been restarted/,
  );
  const { stderr } = await rig.guest.run(['gc-identify']);
  expect(stderr.toString()).toContain('its ID register holds 0xffffffff');
});

it('is refused while its process is gone, with the reason', async () => {
  await expect(rig.plug({ name: 'dead', socketPath })).rejects.toThrow(
    /no process serves the card 'dead' at \S+card\.sock: .* its process has ended \(connection refused\)/,
  );
  const removed = { name: 'dead', socketPath: join(folder, 'none.sock') };
  await expect(rig.plug(removed)).rejects.toThrow(
    /none\.sock: its process has ended, and has removed the socket\. Start/,
  );
});

it('can be used again when its process was restarted', async () => {
  server = await serve();
  expect((await rig.restartCard('card')).node).toBe('/dev/uio0');
  await runApp(rig, 'card', ['gc-loopback', '--irq', 'intx']);
});

it('can be unplugged and plugged in again, at its address while its process runs, and after a restart of that', async () => {
  const pciAddress = await rig.guest.pciAddressOf('card');
  await rig.unplug('card');
  expect(rig.cards).toEqual([]);
  expect((await rig.guest.run(['ls', '/sys/bus/pci/drivers/uio_pci_generic'])).stdout.toString()).not.toContain(
    '0000:',
  );
  const card = { name: 'card', socketPath, driver: 'uio_pci_generic' };
  expect((await rig.plug(card)).pciAddress).toBe(pciAddress);
  await runApp(rig, 'card', ['gc-loopback', '--irq', 'intx']);
  await rig.unplug('card');
  await server.kill();
  await expect.poll(() => rig.modelErrors.length, { timeout: 10_000 }).toBe(2);
  server = await serve();
  expect((await rig.plug(card)).node).toBe('/dev/uio0');
  await runApp(rig, 'card', ['gc-loopback', '--irq', 'intx']);
});
