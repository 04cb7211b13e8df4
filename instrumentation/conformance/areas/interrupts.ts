/**
 * Set-up of interrupts in all forms, and what the client can trigger and mask.
 *
 * Source: QEMU docs/interop/vfio-user.rst, "VFIO_USER_DEVICE_SET_IRQS"; Linux include/uapi/linux/vfio.h.
 */
import { writeSync } from 'node:fs';
import { Command, IrqSetFlag } from '../../../emulator/vfio-user/wire';
import { type Area, type Case } from '../case';
import { type Client } from '../client';
import { type IrqIndex } from '../device';
import { type IrqFields, setIrqsOf } from '../messages';
import { NotApplicable, Unmet } from '../outcome';
import { type Trial } from '../trial';

const SET_IRQS = 'VFIO_USER_DEVICE_SET_IRQS';
const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = IrqSetFlag;
const CONNECT = DATA_EVENTFD | ACTION_TRIGGER;
const TRIGGER = DATA_NONE | ACTION_TRIGGER;

interface Setup {
  readonly client: Client;
  readonly irq: IrqIndex;
  /** Descriptors that the server takes in one message. */
  readonly most: number;
}

/** A session, and an interrupt index with at least so many vectors; the one with most. */
async function setup(t: Trial, vectors = 1): Promise<Setup> {
  const { client, device } = await t.open();
  const usable = device.irqs.filter(({ count, eventfd }) => eventfd && count >= vectors);
  const irq = usable.sort((a, b) => b.count - a.count)[0];
  if (irq === undefined)
    throw new NotApplicable(`the device has no interrupt index with ${vectors} vectors and eventfds`);
  return { client, irq, most: device.limits.maxMessageDescriptors };
}

const set = (client: Client, fields: IrqFields, descriptors: readonly number[] = []): Promise<unknown> =>
  client.accepted(Command.DEVICE_SET_IRQS, { payload: setIrqsOf(fields), descriptors });
const ask = (client: Client, fields: IrqFields, descriptors: readonly number[] = []): Promise<unknown> =>
  client.ask(Command.DEVICE_SET_IRQS, { payload: setIrqsOf(fields), descriptors });
const refuse = (client: Client, fields: IrqFields, descriptors: readonly number[] = []): Promise<void> =>
  client.refused(Command.DEVICE_SET_IRQS, { payload: setIrqsOf(fields), descriptors });

/** Connects vectors from `start` on, in as many messages as the server's limit takes. */
async function connect({ client, irq, most }: Setup, start: number, fds: readonly number[]): Promise<void> {
  for (let done = 0; done < fds.length; done += most) {
    const part = fds.slice(done, done + most);
    await set(client, { flags: CONNECT, index: irq.index, start: start + done, count: part.length }, part);
  }
}

function expectCounts(t: Trial, fds: readonly number[], wanted: readonly number[]): void {
  const counts = fds.map((fd) => t.native.eventfdRead(fd));
  if (counts.join() !== wanted.join())
    throw new Unmet(`the eventfds were signalled ${counts.join()} times, not ${wanted.join()}`);
}

/** Flags that are not exactly one of DATA and one of ACTION. */
const BAD_FLAGS: Readonly<Record<string, number>> = {
  'none': 0,
  'no-action': DATA_NONE,
  'no-data': ACTION_TRIGGER,
  'two-data': DATA_NONE | DATA_BOOL | ACTION_TRIGGER,
  'all-data': DATA_NONE | DATA_BOOL | DATA_EVENTFD | ACTION_TRIGGER,
  'two-actions': DATA_NONE | ACTION_MASK | ACTION_TRIGGER,
  'all-actions': DATA_NONE | ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER,
};

const badFlags = Object.entries(BAD_FLAGS).map(([name, flags]): Case => {
  return {
    name: `flags-${name}`,
    section: SET_IRQS,
    expects: `flags 0x${flags.toString(16)}, which are not exactly one of data and one of action, are refused`,
    run: async (t) => {
      const { client, irq } = await setup(t);
      await refuse(client, { flags, index: irq.index, count: 1 });
      await client.goesOn();
    },
  };
});

/** Ranges of an index with `count` vectors that are not inside it. */
const badRanges: readonly (readonly [string, (count: number) => readonly [start: number, count: number]])[] = [
  ['one-too-many', (count) => [0, count + 1]],
  ['behind-the-last', (count) => [count, 1]],
  ['huge-start', () => [0xffff_ffff, 1]],
  ['huge-count', () => [0, 0xffff_ffff]],
  ['wrapping', () => [0xffff_fff0, 0x20]],
  ['wrapping-to-1', () => [2, 0xffff_ffff]],
];

const ranges = badRanges.map(([name, rangeOf]): Case => {
  return {
    name: `range-${name}`,
    section: SET_IRQS,
    expects: 'vectors that the index does not have are refused, with eventfds, booleans and neither',
    run: async (t) => {
      const { client, irq } = await setup(t);
      const [start, count] = rangeOf(irq.count);
      await refuse(client, { flags: CONNECT, index: irq.index, start, count }, [t.eventfd()]);
      await refuse(client, { flags: TRIGGER, index: irq.index, start, count });
      const data = Buffer.alloc(Math.min(count, 4096), 1);
      await refuse(client, { flags: DATA_BOOL | ACTION_TRIGGER, index: irq.index, start, count, data });
      await client.goesOn();
    },
  };
});

const perIndex = [0, 1, 2, 3, 4].map((index): Case => {
  return {
    name: `index-${index}`,
    section: SET_IRQS,
    expects: `vector 0 of interrupt index ${index} is connected to an eventfd, another one, and none`,
    run: async (t) => {
      const { client, device } = await t.open();
      device.irq((irq) => irq.index === index && irq.count > 0 && irq.eventfd, `interrupt index ${index}`);
      for (let i = 0; i < 2; i++) await set(client, { flags: CONNECT, index, count: 1 }, [t.eventfd()]);
      await set(client, { flags: CONNECT, index, count: 1 });
      await set(client, { flags: TRIGGER, index, count: 0 });
      await client.goesOn();
    },
  };
});

/** Descriptors that are no eventfds. */
const strange: readonly (readonly [string, string, (t: Trial) => number])[] = [
  ['file', 'a file', (t) => t.memory(4096)],
  ['closed-socket', 'a socket whose other end is closed', (t) => t.brokenSocket()],
  ['full-socket', 'a socket that takes no more', (t) => t.fullSocket()],
  ['folder', 'a folder', (t) => t.opened('/')],
  ['dev-full', '/dev/full', (t) => t.opened('/dev/full')],
];

const notEventfds = strange.map(([name, what, make]): Case => {
  return {
    name: `no-eventfd-${name}`,
    section: SET_IRQS,
    expects: `${what} in place of an eventfd is answered, and triggering the vector then as well`,
    run: async (t) => {
      const { client, irq } = await setup(t);
      await ask(client, { flags: CONNECT, index: irq.index, count: 1 }, [make(t)]);
      await ask(client, { flags: TRIGGER, index: irq.index, count: 1 });
      await client.goesOn();
    },
  };
});

const maskable = (t: Trial): Promise<{ client: Client; irq: IrqIndex }> =>
  t.open().then(({ client, device }) => ({
    client,
    irq: device.irq((irq) => irq.maskable && irq.count > 0, 'interrupt that can be masked'),
  }));

export const interrupts: Area = {
  name: 'interrupts',
  about: 'set-up of interrupts in all forms; triggering and masking by the client',
  cases: [
    ...perIndex,
    {
      name: 'trigger',
      section: `${SET_IRQS}, item 5`,
      expects: 'a vector that the client triggers signals its eventfd, and no other',
      run: async (t) => {
        const of = await setup(t, 2);
        const fds = t.eventfds(2);
        await connect(of, 0, fds);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, start: 1, count: 1 });
        expectCounts(t, fds, [0, 1]);
      },
    },
    {
      name: 'trigger-some',
      section: SET_IRQS,
      expects: 'with booleans, the vectors whose boolean is true are triggered, and no others',
      run: async (t) => {
        const of = await setup(t, 3);
        const fds = t.eventfds(3);
        await connect(of, 0, fds);
        const fields = { index: of.irq.index, count: 3, data: Uint8Array.of(1, 0, 1) };
        await set(of.client, { flags: DATA_BOOL | ACTION_TRIGGER, ...fields });
        expectCounts(t, fds, [1, 0, 1]);
      },
    },
    {
      name: 'trigger-unconnected',
      section: SET_IRQS,
      expects: 'a vector without an eventfd is triggered: that is answered',
      run: async (t) => {
        const { client, irq } = await setup(t);
        await ask(client, { flags: TRIGGER, index: irq.index, count: irq.count });
        await client.goesOn();
      },
    },
    {
      name: 'sparse',
      section: SET_IRQS,
      expects: 'vectors that are connected one by one, with gaps, signal their own eventfds',
      run: async (t) => {
        const of = await setup(t, 4);
        const { client, irq } = of;
        const vectors = [...new Set([1, 3, irq.count - 1])];
        const fds = t.eventfds(vectors.length);
        // A set whose size cannot be changed is given whole, without eventfds first (VFIO_IRQ_INFO_NORESIZE).
        await set(client, { flags: CONNECT, index: irq.index, count: irq.count });
        for (const [i, start] of vectors.entries())
          await set(client, { flags: CONNECT, index: irq.index, start, count: 1 }, [fds[i]!]);
        for (const start of vectors) await set(client, { flags: TRIGGER, index: irq.index, start, count: 1 });
        expectCounts(
          t,
          fds,
          vectors.map(() => 1),
        );
      },
    },
    {
      name: 'all',
      section: SET_IRQS,
      expects: 'all vectors are connected, in messages of max_msg_fds eventfds, and each signals its own',
      run: async (t) => {
        const of = await setup(t);
        const fds = t.eventfds(Math.min(of.irq.count, 512));
        await set(of.client, { flags: CONNECT, index: of.irq.index, count: of.irq.count });
        await connect(of, 0, fds);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, count: fds.length });
        expectCounts(
          t,
          fds,
          fds.map(() => 1),
        );
      },
    },
    {
      name: 'replace',
      section: SET_IRQS,
      expects: 'a vector that is connected again signals the new eventfd only',
      run: async (t) => {
        const of = await setup(t);
        const fds = t.eventfds(2);
        await connect(of, 0, [fds[0]!]);
        await connect(of, 0, [fds[1]!]);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        expectCounts(t, fds, [0, 1]);
      },
    },
    {
      name: 'same-for-all',
      section: SET_IRQS,
      expects: 'vectors that share an eventfd all signal it',
      run: async (t) => {
        const of = await setup(t, 2);
        const fd = t.eventfd();
        await connect(of, 0, [fd, fd]);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, count: 2 });
        expectCounts(t, [fd], [2]);
      },
    },
    {
      name: 'disconnect',
      section: SET_IRQS,
      expects: 'a vector that is set up without eventfds is disconnected, and signals none',
      run: async (t) => {
        const of = await setup(t);
        const fds = t.eventfds(1);
        await connect(of, 0, fds);
        await set(of.client, { flags: CONNECT, index: of.irq.index, count: 1 });
        await ask(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        expectCounts(t, fds, [0]);
      },
    },
    {
      name: 'disable',
      section: SET_IRQS,
      expects: 'a count of 0 without data disables the whole index: nothing is signalled any more',
      run: async (t) => {
        const of = await setup(t);
        const fds = t.eventfds(Math.min(of.irq.count, of.most));
        await connect(of, 0, fds);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, count: 0 });
        await ask(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        expectCounts(
          t,
          fds,
          fds.map(() => 0),
        );
      },
    },
    {
      name: 'disable-twice',
      section: SET_IRQS,
      expects: 'each index is disabled twice, whether it was enabled or not',
      run: async (t) => {
        const { client, device } = await t.open();
        for (const { index } of device.irqs.filter(({ count }) => count > 0))
          for (let i = 0; i < 2; i++) await set(client, { flags: TRIGGER, index, count: 0 });
      },
    },
    {
      name: 'full-eventfd',
      section: SET_IRQS,
      expects: 'a vector whose eventfd is full, and would block who writes to it, does not block the server',
      run: async (t) => {
        const of = await setup(t);
        const fd = t.eventfd();
        writeSync(fd, Buffer.from('feffffffffffffff', 'hex'));
        await connect(of, 0, [fd]);
        for (let i = 0; i < 3; i++) await ask(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        await of.client.goesOn();
      },
    },
    {
      name: 'closed-eventfd',
      section: SET_IRQS,
      expects: 'a vector whose eventfd the client has closed is triggered without harm',
      run: async (t) => {
        const of = await setup(t);
        const fd = t.eventfd();
        await connect(of, 0, [fd]);
        t.close(fd);
        await ask(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        await of.client.goesOn();
      },
    },
    ...notEventfds,
    ...badFlags,
    {
      name: 'flags-unknown',
      section: SET_IRQS,
      expects: 'flags that are not defined are answered',
      run: async (t) => {
        const { client, irq } = await setup(t);
        for (const flags of [TRIGGER | 0x40, CONNECT | 0x8000_0000, 0xffff_ffc0])
          await ask(client, { flags: flags >>> 0, index: irq.index, count: 1 });
        await client.goesOn();
      },
    },
    ...ranges,
    {
      name: 'no-such-index',
      section: SET_IRQS,
      expects: 'an interrupt index that does not exist, or has no vectors, is refused',
      run: async (t) => {
        const { client, device } = await t.open();
        const absent = device.irqs.filter(({ count }) => count === 0).map(({ index }) => index);
        for (const index of [...absent, device.irqs.length, 0x7fff_ffff, 0xffff_ffff])
          await refuse(client, { flags: CONNECT, index, count: 1 }, [t.eventfd()]);
        await client.goesOn();
      },
    },
    {
      name: 'booleans-cut',
      section: SET_IRQS,
      expects: 'fewer booleans than vectors are refused',
      run: async (t) => {
        const { client, irq } = await setup(t, 2);
        const fields = { flags: DATA_BOOL | ACTION_TRIGGER, index: irq.index };
        await refuse(client, { ...fields, count: 1 });
        await refuse(client, { ...fields, count: 2, data: Uint8Array.of(1) });
        await client.goesOn();
      },
    },
    {
      name: 'argsz',
      section: SET_IRQS,
      expects: 'an argsz that is not the size of the payload is answered',
      run: async (t) => {
        const { client, irq } = await setup(t);
        for (const argsz of [0, 19, 21, 0xffff_ffff])
          await ask(client, { flags: CONNECT, index: irq.index, count: 1, argsz }, [t.eventfd()]);
        await client.goesOn();
      },
    },
    {
      name: 'too-few-eventfds',
      section: SET_IRQS,
      expects: 'fewer eventfds than vectors are answered',
      run: async (t) => {
        const { client, irq } = await setup(t, 3);
        await ask(client, { flags: CONNECT, index: irq.index, count: 3 }, t.eventfds(2));
        await ask(client, { flags: TRIGGER, index: irq.index, count: 3 });
        await client.goesOn();
      },
    },
    {
      name: 'too-many-eventfds',
      section: SET_IRQS,
      expects: 'more eventfds than vectors are answered; what is not used is closed',
      run: async (t) => {
        const { client, irq } = await setup(t);
        await ask(client, { flags: CONNECT, index: irq.index, count: 1 }, t.eventfds(3));
        await client.goesOn();
      },
    },
    {
      name: 'eventfds-without-their-flag',
      section: SET_IRQS,
      expects: 'eventfds with a message of no data or of booleans are answered, and closed',
      run: async (t) => {
        const { client, irq } = await setup(t);
        await ask(client, { flags: TRIGGER, index: irq.index, count: 1 }, t.eventfds(2));
        const data = Uint8Array.of(1);
        await ask(client, { flags: DATA_BOOL | ACTION_TRIGGER, index: irq.index, count: 1, data }, t.eventfds(2));
        await ask(client, { flags: TRIGGER, index: irq.index, count: 0 }, t.eventfds(2));
        await client.goesOn();
      },
    },
    {
      name: 'mask',
      section: SET_IRQS,
      expects: 'an index that can be masked is masked and unmasked, for a range and by booleans',
      run: async (t) => {
        const { client, irq } = await maskable(t);
        for (const action of [ACTION_MASK, ACTION_UNMASK, ACTION_MASK, ACTION_UNMASK])
          await set(client, { flags: DATA_NONE | action, index: irq.index, count: 1 });
        for (const action of [ACTION_MASK, ACTION_UNMASK])
          await set(client, { flags: DATA_BOOL | action, index: irq.index, count: 1, data: Uint8Array.of(1) });
      },
    },
    {
      name: 'mask-what-cannot-be',
      section: 'VFIO_USER_DEVICE_GET_IRQ_INFO',
      expects: 'masking an index that cannot be masked is refused',
      run: async (t) => {
        const { client, device } = await t.open();
        const irq = device.irq(({ maskable, count }) => !maskable && count > 0, 'interrupt that cannot be masked');
        for (const action of [ACTION_MASK, ACTION_UNMASK])
          await refuse(client, { flags: DATA_NONE | action, index: irq.index, count: 1 });
        await client.goesOn();
      },
    },
    {
      name: 'mask-eventfds',
      section: SET_IRQS,
      expects: 'eventfds for masking and unmasking are answered: not every device has them',
      run: async (t) => {
        const { client, irq } = await maskable(t);
        for (const action of [ACTION_MASK, ACTION_UNMASK])
          await ask(client, { flags: DATA_EVENTFD | action, index: irq.index, count: 1 }, [t.eventfd()]);
        await client.goesOn();
      },
    },
    {
      name: 'after-reset',
      section: 'VFIO_USER_DEVICE_RESET',
      expects: 'interrupts can be set up and triggered after a reset',
      run: async (t) => {
        const of = await setup(t);
        await of.client.ask(Command.DEVICE_RESET);
        const fds = t.eventfds(1);
        await connect(of, 0, fds);
        await set(of.client, { flags: TRIGGER, index: of.irq.index, count: 1 });
        expectCounts(t, fds, [1]);
      },
    },
  ],
};
