/**
 * One fuzzed client from its connection to its end, and all that must be true of the server then: it has answered or
 * refused every message in order, still serves this client where the protocol allows, and another one, and holds nothing
 * of either.
 */
import { ftruncateSync } from 'node:fs';
import { encodeDescriptor, REFERENCE_REGISTERS } from '../../../emulator/cards/reference';
import { type ServerEvent } from '../../../emulator/vfio-user';
import { describeEvent } from '../../../emulator/vfio-user/events';
import { errnoName } from '../../../emulator/vfio-user/errno';
import { encodeVersion, defaultCapabilities } from '../../../emulator/vfio-user/version';
import { Command, HeaderFlag } from '../../../emulator/vfio-user/wire';
import {
  deviceInfoOf,
  mapOf,
  messageOf,
  readOf,
  setIrqsOf,
  writeOf,
} from '../../../instrumentation/conformance/messages';
import { type Bench, type Holdings, holdings, native } from './bench';
import { Expectation, type Owed } from './expectation';
import { Peer, type Reply } from './peer';
import { SHRINKING_BYTES, type Step } from './step';

const LIMIT_MS = 5000;
/** Of an incomplete message, what is still sent to complete it. */
const MOST_PADDING_BYTES = 4 << 20;
const CONFIG = 7;
const BUS_MASTER_AND_MEMORY = 6;

/** Does the steps. @throws Error that says what the server did wrong. Returns the number of complete messages. */
export async function tryOut(bench: Bench, steps: readonly Step[]): Promise<number> {
  bench.memory.fill(0);
  ftruncateSync(bench.descriptors['file that shrinks'], SHRINKING_BYTES);
  bench.takeEvents();
  const before = holdings();
  const peer = new Peer(bench.socketPath);
  const expectation = new Expectation();
  try {
    for (const step of steps) await doStep(bench, peer, expectation, step);
    await finish(peer, expectation);
    check(peer, expectation, bench.takeEvents(), bench);
  } finally {
    peer.close();
  }
  await until('the server to notice that the client is gone', () => !bench.served.connected);
  await workWell(bench);
  await until('the server to notice that the good client is gone', () => !bench.served.connected);
  const trouble = bench.troubleIn(bench.takeEvents());
  if (trouble !== undefined) throw new Error(trouble);
  checkHoldings(before, holdings());
  return expectation.messages;
}

async function doStep(bench: Bench, peer: Peer, expectation: Expectation, step: Step): Promise<void> {
  switch (step.do) {
    case 'send':
      return await send(
        peer,
        expectation,
        Buffer.from(step.bytes, 'hex'),
        (step.descriptors ?? []).map((name) => bench.descriptors[name]),
      );
    case 'wait':
      if (step.for === 'the event loop') await loopTurn();
      bench.served.catchUp();
      return takeReplies(peer, expectation);
    case 'poke':
      return bench.memory.set(Buffer.from(step.bytes, 'hex'), step.at);
    case 'truncate':
      return ftruncateSync(bench.descriptors['file that shrinks'], step.sizeBytes);
    case 'read':
      peer.reads = step.on;
      return;
    case 'answer':
      peer.answers = step.how;
  }
}

async function send(
  peer: Peer,
  expectation: Expectation,
  bytes: Uint8Array,
  descriptors: readonly number[] = [],
): Promise<void> {
  if (bytes.length === 0) return;
  expectation.sent(bytes, descriptors.length);
  let sent = peer.send(bytes, descriptors);
  await until('the server to take what was sent, or to end the connection', async () => {
    if (sent === bytes.length) return true;
    peer.reads = true; // it may wait for that
    await loopTurn();
    peer.receive();
    sent += peer.send(bytes.subarray(sent), sent === 0 ? descriptors : []);
    return sent === bytes.length;
  });
}

/** Lets the event loop serve what has arrived, and takes what was sent back. */
async function turn(peer: Peer, expectation: Expectation): Promise<void> {
  await loopTurn();
  takeReplies(peer, expectation);
}

function takeReplies(peer: Peer, expectation: Expectation): void {
  if (!peer.reads) return;
  peer.receive();
  if (expectation.missingBytes === 0) peer.answerDma();
}

/** Ends the message in hand, collects all replies, and asks for one more. */
async function finish(peer: Peer, expectation: Expectation): Promise<void> {
  peer.reads = true;
  for (let missing = expectation.missingBytes; missing > 0; missing = expectation.missingBytes) {
    if (expectation.fate === 'ends' || missing > MOST_PADDING_BYTES) break;
    await send(peer, expectation, new Uint8Array(missing));
  }
  if (expectation.fate !== 'ends' && expectation.missingBytes === 0) {
    if (!expectation.negotiated) {
      const payload = encodeVersion({ major: 0, minor: 0, capabilities: defaultCapabilities });
      await send(peer, expectation, messageOf({ id: 1, command: Command.VERSION, payload }));
    }
    const request = { id: 2, command: Command.DEVICE_GET_INFO, payload: deviceInfoOf() };
    await send(peer, expectation, messageOf(request));
  }
  await until(
    () => `reply ${peer.replies.length + 1} of ${expectation.owed.length} that the server owes`,
    async () => {
      await turn(peer, expectation);
      return peer.hasEnded || (expectation.fate !== 'ends' && peer.replies.length >= expectation.owed.length);
    },
  );
}

function check(peer: Peer, expectation: Expectation, events: readonly ServerEvent[], bench: Bench): void {
  const { fate, owed, owedAtLeast } = expectation;
  const trouble = bench.troubleIn(events);
  if (trouble !== undefined) throw new Error(trouble);
  peer.replies.forEach((reply, i) => checkReply(reply, owed[i], i));
  if (peer.hasEnded && fate === 'goes on') {
    const end = events.find(({ kind }) => kind === 'disconnected');
    throw new Error(`the connection has ended without need: ${end && describeEvent(end)}`);
  }
  const least = peer.hasEnded ? owedAtLeast : owed.length;
  if (peer.replies.length < least) {
    throw new Error(`the server sent ${peer.replies.length} replies; it owes ${least}`);
  }
}

function checkReply(reply: Reply, owed: Owed | undefined, index: number): void {
  const { id, command, flags, errno, sizeBytes } = reply;
  const seen = `reply ${index} (id ${id}, command ${command}, flags ${flags}, errno ${errno}, ${sizeBytes} bytes)`;
  if (owed === undefined) throw new Error(`${seen} answers nothing`);
  if (id !== owed.id || command !== owed.command) {
    throw new Error(`${seen} comes where id ${owed.id}, command ${owed.command} is to be answered`);
  }
  const isRefusal = (flags & HeaderFlag.ERROR) !== 0;
  if (isRefusal !== (errno !== 0) || (isRefusal && sizeBytes !== 16)) throw new Error(`${seen} is no error reply`);
  if (!isRefusal && owed.readBytes !== undefined && sizeBytes !== 32 + owed.readBytes) {
    throw new Error(`${seen} has not the ${owed.readBytes} bytes that were asked for`);
  }
}

function checkHoldings(before: Holdings, after: Holdings): void {
  if (after.descriptors === before.descriptors && after.mappings === before.mappings) return;
  throw new Error(
    `the server has kept what clients have passed: ${before.descriptors} descriptors and ${before.mappings} mappings ` +
      `before, ${after.descriptors} and ${after.mappings} after`,
  );
}

const H2C0 = 'H2C[0]';
const SENT_BYTES = 256;

/** A client like QEMU and a driver: a transfer to card memory, by a ring, with an interrupt at its end. */
async function workWell({ memory, descriptors, served, socketPath }: Bench): Promise<void> {
  const data = Uint8Array.from({ length: SENT_BYTES }, (_, i) => (i * 7 + served.card.memory[0]! + 1) & 0xff);
  memory.fill(0, 0, 0x1000);
  memory.set(data, 0x1000);
  const descriptor = { owner: true, interrupt: true, endOfPacket: true, cardAddress: 0 };
  memory.set(encodeDescriptor({ ...descriptor, hostAddress: 0x1000, lengthBytes: SENT_BYTES }), 0);
  native.eventfdRead(descriptors.eventfd);
  const client = new Peer(socketPath);
  try {
    let id = 0;
    const send = (command: number, payload: Uint8Array, passed: number[] = []): void => {
      client.send(messageOf({ id: id++, command, payload }), passed);
    };
    const write = (path: string, value: number): void => {
      const { offset, width } = REFERENCE_REGISTERS.registers.find((each) => each.path === path)!;
      const bytes = Buffer.alloc(width / 8);
      bytes.writeUInt32LE(value);
      send(Command.REGION_WRITE, writeOf(0, offset, bytes));
    };
    send(Command.VERSION, encodeVersion({ major: 0, minor: 0, capabilities: defaultCapabilities }));
    send(Command.DMA_MAP, mapOf({ iova: 0n, sizeBytes: BigInt(memory.length) }), [descriptors.memory]);
    send(Command.DEVICE_SET_IRQS, setIrqsOf({ flags: 0x24, index: 0, count: 1 }), [descriptors.eventfd]);
    send(Command.REGION_WRITE, writeOf(CONFIG, 4, Uint8Array.of(BUS_MASTER_AND_MEMORY, 0)));
    write('IRQ_ENABLE', 1);
    write(`${H2C0}.RING_BASE`, 0);
    write(`${H2C0}.RING_SIZE`, 2);
    write(`${H2C0}.CONTROL`, 1);
    write(`${H2C0}.DOORBELL`, 1);
    await until('the interrupt of a good client', () => native.eventfdRead(descriptors.eventfd) > 0);
    send(Command.REGION_READ, readOf(2, 0, SENT_BYTES));
    await until('the replies to a good client', () => (client.receive(), client.replies.length === id));
    const refused = client.replies.find(({ errno }) => errno !== 0);
    if (refused) throw new Error(`message ${refused.id} of a good client was refused with ${errnoName(refused.errno)}`);
    if (!client.replies.at(-1)!.payload.subarray(16).equals(data)) {
      throw new Error('the card has not the bytes that a good client sent');
    }
  } finally {
    client.close();
  }
}

/** A turn of the event loop: all that is ready is served before it ends. */
async function loopTurn(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function until(what: string | (() => string), condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${LIMIT_MS} ms for ${typeof what === 'string' ? what : what()}`);
    }
    await loopTurn();
  }
}
