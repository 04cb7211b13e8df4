/** `ghostcard serve` as a process of its own: it outlives its clients, and what they do to it. */
import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { REFERENCE_REGISTERS } from '../../emulator/cards/reference';
import { Command, HeaderFlag } from '../../emulator/vfio-user/wire';
import { accessOf, viewOf, VfioUserClient, words } from '../support/vfio-user-client';
import { cardFile, type ServeProcess, serving } from './serve-process';
import { sharedMemory, until } from './serving';

const ID = 0x4748_4331;
const BAR0 = 0;
const CONFIG = 7;
const MEMORY_AND_BUS_MASTER = Uint8Array.of(6, 0);
const COMMAND_REGISTER = 4;

const offsetOf = (block: string, name: string): number => {
  const register = REFERENCE_REGISTERS.registers.find((candidate) => {
    return candidate.block?.name === block && candidate.block.index === 0 && candidate.name === name;
  });
  if (register === undefined) throw new Error(`the reference card has no register ${block}[0].${name}`);
  return register.offset;
};

async function serveReference(): Promise<ServeProcess> {
  const served = await serving('reference');
  expect(served.standardError()).toBe('');
  return served;
}

/** A client that reads the card's identity through its first BAR: the card works. */
async function readIdentity(socketPath: string): Promise<number> {
  await using client = await VfioUserClient.connect(socketPath);
  await client.regionWrite(CONFIG, COMMAND_REGISTER, MEMORY_AND_BUS_MASTER);
  return viewOf(await client.regionRead(BAR0, 0, 4)).getUint32(0, true);
}

const openIn = (child: ChildProcess): number => readdirSync(`/proc/${child.pid}/fd`).length;
const disconnected = ({ events }: ServeProcess): number => events.filter((event) => event === 'disconnected').length;

describe('ghostcard serve', () => {
  test('outlives twenty clients that disconnect after half a message, serves a real one, and ends in an orderly way', async () => {
    const served = await serveReference();
    const { socketPath, process: child } = served;
    expect(await readIdentity(socketPath)).toBe(ID);
    await until('the first client to be gone', () => disconnected(served) === 1);
    const openBefore = openIn(child);
    const { fd } = sharedMemory(4096);
    for (let i = 0; i < 20; i++) {
      const client = i % 2 === 0 ? await VfioUserClient.connect(socketPath) : new VfioUserClient(socketPath);
      const half = words((Command.DMA_MAP << 16) | i, 48, 0, 0, 32, 3).subarray(0, 1 + i);
      client.sendRaw(half, i % 3 === 0 ? [fd] : []);
      client.close();
    }
    await until('the server to have seen all twenty go', () => disconnected(served) === 21);
    expect(openIn(child)).toBe(openBefore);
    expect(await readIdentity(socketPath)).toBe(ID);
    child.kill('SIGTERM');
    const [exitCode] = (await once(child, 'exit')) as [number | null];
    expect([exitCode, served.standardError(), existsSync(socketPath)]).toEqual([0, '', false]);
  });

  test('injects the faults of a file, and reports at its end which have never fired', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gc-serve-faults-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'faults.json');
    const fault = { fault: 'reads-all-ones', register: 'ID', occurrence: 1 };
    writeFileSync(file, JSON.stringify([fault, { ...fault, occurrence: 9 }]));
    const served = await serving('reference', { args: ['--faults', file] });
    expect(await readIdentity(served.socketPath)).toBe(0xffff_ffff);
    expect(await readIdentity(served.socketPath)).toBe(ID);
    served.process.kill('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect(served.texts.at(-1)).toBe(
      "The fault 'reads-all-ones-2' of the card 'reference' has not fired: it waited for occurrence 9 of reads of ID; " +
        '1 of 1 reads of the card matched',
    );
  });

  test('says that errors of the bus are logged, and not reported to anybody', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gc-serve-faults-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'faults.json');
    writeFileSync(file, JSON.stringify([{ fault: 'bus-error', error: 'bad-tlp', on: 'read', register: 'ID' }]));
    const served = await serving('reference', { args: ['--faults', file] });
    expect(await readIdentity(served.socketPath)).toBe(ID);
    served.process.kill('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect(served.texts.join('\n')).toMatch(/errors of the bus are logged .* reach no root port/);
  });

  test('outlives clients that disconnect while a DMA engine accesses their memory', async () => {
    const served = await serveReference();
    const { socketPath, process: child } = served;
    for (let i = 0; i < 5; i++) {
      const client = await VfioUserClient.connect(socketPath);
      await client.dmaMap({ iova: 0n, sizeBytes: 4096n });
      const post = (region: number, offset: number, data: Uint8Array): void => {
        const payload = Buffer.concat([accessOf(region, offset, data.length), data]);
        client.sendMessage({ command: Command.REGION_WRITE, flags: HeaderFlag.NO_REPLY, payload });
      };
      post(CONFIG, COMMAND_REGISTER, MEMORY_AND_BUS_MASTER);
      post(BAR0, offsetOf('H2C', 'RING_SIZE'), words(16));
      post(BAR0, offsetOf('H2C', 'CONTROL'), words(1));
      post(BAR0, offsetOf('H2C', 'DOORBELL'), words(4));
      // From here on the engine reads its descriptors, by a message that arrives or cannot be sent any more.
      if (i % 2 === 0) await until('the engine to ask', () => client.dmaRequests.length > 0);
      client.close();
    }
    await until('the server to have seen them go', () => disconnected(served) === 5 || child.exitCode !== null);
    expect([served.standardError(), await readIdentity(socketPath)]).toEqual(['', ID]);
  });

  test('says refusals that are repeated less and less often, and counts them', async () => {
    const served = await serveReference();
    const client = await VfioUserClient.connect(served.socketPath);
    const refused = (command: number): void =>
      client.sendMessage({ command, flags: HeaderFlag.NO_REPLY, payload: new Uint8Array(0) });
    for (let i = 0; i < 5000; i++) refused(Command.DMA_MAP);
    for (let i = 0; i < 5000; i++) refused(1000 + i);
    await client.regionRead(CONFIG, 0, 4);
    client.close();
    await until('the server to have seen it go', () => disconnected(served) === 1);
    served.process.kill('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect(served.events.filter((event) => event === 'refused')).toHaveLength(2 * 101);
    expect(served.texts).toContainEqual(
      expect.stringMatching(
        /^refused DMA_MAP .* \(1000 times by now; the next that is said is the one with number 10000\)$/,
      ),
    );
    expect(served.texts).toContain('refused DMA_MAP (EINVAL): 5000 times');
    expect(served.texts).toContainEqual(expect.stringMatching(/^refused an unknown command \(\w+\): 5000 times$/));
  });

  test('ends when it is told to, also when nobody reads what it prints', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gc-serve-faults-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'faults.json');
    const fault = { fault: 'reads-all-ones', register: 'ID', occurrence: 9 };
    const named = (_: unknown, index: number) => ({ ...fault, name: `${index} ${'x'.repeat(500)}` });
    writeFileSync(file, JSON.stringify(Array.from({ length: 1000 }, named)));
    const served = await serving('reference', { args: ['--faults', file] });
    served.process.stdout!.removeAllListeners('data').pause(); // each fault that has not fired is said at the end
    served.process.kill('SIGTERM');
    const [exitCode] = (await once(served.process, 'exit')) as [number | null];
    expect(exitCode).toBe(0);
    expect(served.standardError()).toMatch(
      /^ghostcard: SIGTERM: gave up \d+ bytes of output, which nobody has read for 2 s\n$/,
    );
    served.process.stdout!.destroy();
  });

  test('outlives a card that throws in each reset, reports each, and ends in an orderly way', async () => {
    const served = await serving(cardFile(`onReset() { throw new Error('planted in the reset'); }`));
    const { socketPath, process: child } = served;
    for (let clients = 1; clients <= 2; clients++) {
      const client = await VfioUserClient.connect(socketPath);
      await expect(client.reset()).rejects.toThrow('EIO');
      client.close();
      await until('the server to have seen the client go', () => disconnected(served) === clients);
    }
    expect(served.events.filter((event) => event === 'device-error').length).toBeGreaterThanOrEqual(2);
    child.kill('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect(existsSync(socketPath)).toBe(false);
  });

  test('serves each function of a card at a socket of its own', async () => {
    const served = await serving(join(__dirname, '..', 'support', 'two-ports.ts'));
    await until('both functions to be served', () => served.events.length === 2);
    for (const number of [0, 1]) {
      await using client = await VfioUserClient.connect(`${served.socketPath}.${number}`);
      const identity = viewOf(await client.regionRead(CONFIG, 0, 4)).getUint32(0, true);
      expect(identity).toBe(((0x4780 + number) << 16) | 0x1234);
      expect((await client.regionRead(CONFIG, 0x0e, 1))[0]).toBe(0x80);
    }
    served.process.kill('SIGTERM');
    expect(await served.ended).toEqual({ exitCode: 0, signal: null });
    expect([0, 1].some((number) => existsSync(`${served.socketPath}.${number}`))).toBe(false);
  });
});
