/**
 * The contract of the native interface. Both the addon and the fake are tested with it (native.test.ts), so that unit
 * tests on the fake are valid.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FIRST_DESCRIPTOR, type Native, READABLE, WOULD_BLOCK, WRITABLE } from '../../../emulator/native/interface';

export interface ContractSetup {
  readonly native: Native;
  /** A path for a socket on which nothing listens. */
  freshPath(): string;
  /** Two descriptors of one file, opened separately. */
  openTwice(): [number, number];
}

const PAGE = 4096;

export function nativeContract(makeSetup: () => ContractSetup): void {
  let setup: ContractSetup;
  let native: Native;
  const open = new Set<number>();
  const keep = (fd: number): number => {
    open.add(fd);
    return fd;
  };
  const close = (fd: number): void => {
    open.delete(fd);
    native.close(fd);
  };
  const pair = (): [number, number] => {
    const fds = native.socketpair();
    fds.forEach(keep);
    return fds;
  };
  const words = new Int32Array(FIRST_DESCRIPTOR + 8);
  const receive = (fd: number, most = 4096): { bytes: number[]; descriptors: number[]; got: number } => {
    const buffer = new Uint8Array(most);
    const got = native.receive(fd, buffer, 0, most, words, 0);
    const descriptors = Array.from(words.subarray(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + words[0]!), keep);
    return { bytes: [...buffer.subarray(0, Math.max(0, got))], descriptors, got };
  };
  const send = (fd: number, bytes: number[], descriptors: number[] = []): number =>
    native.send(fd, Uint8Array.from(bytes), 0, bytes.length, undefined, Int32Array.from(descriptors));
  /** Resolves to the events of the first callback. */
  const readiness = (fd: number, events: number): Promise<number> =>
    new Promise((resolve) => {
      const poller = new native.Poller(fd, (ready) => {
        poller.close();
        resolve(ready);
      });
      poller.start(events);
    });

  beforeEach(() => {
    setup = makeSetup();
    native = setup.native;
  });
  afterEach(() => {
    for (const fd of [...open]) close(fd);
  });

  test('bytes sent on one end of a socket pair are received at the other', () => {
    const [a, b] = pair();
    expect(send(a, [1, 2, 3])).toBe(3);
    expect(receive(b).bytes).toEqual([1, 2, 3]);
  });

  test('the peer of a socket is a process of this user', () => {
    const [a] = pair();
    expect(native.peerUser(a)).toBe(process.getuid!());
    const counter = keep(native.eventfd());
    expect(() => native.peerUser(counter)).toThrow('ENOTSOCK');
  });

  test('receive returns WOULD_BLOCK when there is nothing, and 0 when the peer has closed', () => {
    const [a, b] = pair();
    expect(receive(b).got).toBe(WOULD_BLOCK);
    close(a);
    expect(receive(b).got).toBe(0);
  });

  test('receive returns after its spin time when nothing arrives', () => {
    const [, b] = pair();
    expect(native.receive(b, new Uint8Array(8), 0, 8, words, 50)).toBe(WOULD_BLOCK);
  });

  test('receive writes only between start and end', () => {
    const [a, b] = pair();
    send(a, [1, 2, 3, 4]);
    const buffer = new Uint8Array(6);
    expect(native.receive(b, buffer, 2, 4, words, 0)).toBe(2);
    expect([...buffer]).toEqual([0, 0, 1, 2, 0, 0]);
    expect(receive(b).bytes).toEqual([3, 4]);
  });

  test('send appends the payload to the part of the buffer', () => {
    const [a, b] = pair();
    expect(native.send(a, Uint8Array.of(9, 1, 2, 9), 1, 3, Uint8Array.of(3, 4))).toBe(4);
    expect(receive(b).bytes).toEqual([1, 2, 3, 4]);
  });

  test('a passed descriptor refers to the same file, also when the original is closed', () => {
    const [a, b] = pair();
    const counter = keep(native.eventfd());
    send(a, [7], [counter]);
    native.eventfdWrite(counter);
    close(counter);
    const { bytes, descriptors } = receive(b);
    expect(bytes).toEqual([7]);
    expect(descriptors).toHaveLength(1);
    expect(native.eventfdRead(descriptors[0]!)).toBe(1);
  });

  test('a duplicate refers to the same file, also when the original is closed', () => {
    const counter = keep(native.eventfd());
    const other = keep(native.duplicate(counter));
    native.eventfdWrite(counter);
    close(counter);
    expect(native.eventfdRead(other)).toBe(1);
    expect(() => native.duplicate(counter)).toThrow('EBADF');
  });

  test('a receive ends after the bytes that carried descriptors', () => {
    const [a, b] = pair();
    const counter = keep(native.eventfd());
    send(a, [1]);
    send(a, [2], [counter]);
    send(a, [3]);
    const first = receive(b);
    expect(first.bytes).toEqual([1, 2]);
    expect(first.descriptors).toHaveLength(1);
    const second = receive(b);
    expect(second.bytes).toEqual([3]);
    expect(second.descriptors).toHaveLength(0);
  });

  test('descriptors for which there is no room are reported as lost', () => {
    const [a, b] = pair();
    const counter = keep(native.eventfd());
    send(a, [1], [counter, counter, counter]);
    const small = new Int32Array(FIRST_DESCRIPTOR + 2);
    native.receive(b, new Uint8Array(8), 0, 8, small, 0);
    expect([small[0], small[1]]).toEqual([2, 1]);
    keep(small[2]!);
    keep(small[3]!);
  });

  test('a socket whose peer does not read accepts a part, then nothing, then more when there is room', async () => {
    const [a, b] = pair();
    const big = new Uint8Array(8 * 1024 * 1024);
    const taken = native.send(a, big, 0, big.length);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(big.length);
    let more = taken;
    while (more !== WOULD_BLOCK) more = native.send(a, big, 0, big.length);
    const writable = readiness(a, WRITABLE);
    while (native.receive(b, big, 0, big.length, words, 0) > 0);
    expect(await writable).toBe(WRITABLE);
    expect(native.send(a, big, 0, 16)).toBe(16);
  });

  test('sending to a closed peer fails with EPIPE', () => {
    const [a, b] = pair();
    close(b);
    expect(() => send(a, [1])).toThrow(expect.objectContaining({ code: 'EPIPE', errno: 32, syscall: 'sendmsg' }));
  });

  test('a client connects to a listener, which accepts it', () => {
    const path = setup.freshPath();
    const listener = keep(native.listen(path, 4));
    expect(native.accept(listener)).toBe(WOULD_BLOCK);
    const client = keep(native.connect(path));
    const server = keep(native.accept(listener));
    send(client, [5]);
    expect(receive(server).bytes).toEqual([5]);
    expect(native.accept(listener)).toBe(WOULD_BLOCK);
  });

  test('listening on a used path fails with EADDRINUSE, connecting to an unused one with ENOENT', () => {
    const path = setup.freshPath();
    keep(native.listen(path, 4));
    expect(() => native.listen(path, 4)).toThrow(expect.objectContaining({ code: 'EADDRINUSE', syscall: 'bind' }));
    expect(() => native.connect(setup.freshPath())).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  });

  test('a socket path that is too long is refused, with the limit', () => {
    expect(() => native.listen(`/tmp/${'x'.repeat(120)}`, 4)).toThrow('at most 107 bytes long; it has 125');
  });

  test('a mapping has the file from its offset on, and what is stored stays after unmapping', () => {
    const fd = keep(native.memfdCreate('contract', 3 * PAGE));
    const first = native.map(fd, PAGE, PAGE, true);
    new Uint8Array(first).set([1, 2, 3]);
    const second = native.map(fd, PAGE, PAGE, true);
    expect([...new Uint8Array(second, 0, 3)]).toEqual([1, 2, 3]);
    native.unmap(second);
    if (first.byteLength > 0) native.unmap(first);
    const again = native.map(fd, PAGE, PAGE, true);
    expect([...new Uint8Array(again, 0, 3)]).toEqual([1, 2, 3]);
    native.unmap(again);
  });

  test('a file has one identity for all of its descriptors, and another file has another', () => {
    const fd = keep(native.memfdCreate('contract', 3 * PAGE));
    const other = keep(native.memfdCreate('contract', PAGE));
    const [a, b] = pair();
    native.send(a, Uint8Array.of(1), 0, 1, undefined, Int32Array.of(fd));
    expect(native.receive(b, new Uint8Array(1), 0, 1, words, 0)).toBe(1);
    const passed = keep(words[FIRST_DESCRIPTOR]!);
    const statusOf = (file: number): bigint[] => {
      const status = new BigInt64Array(3);
      native.fileStatus(file, status);
      return [...status];
    };
    const [device, inode, sizeBytes] = statusOf(fd);
    expect(statusOf(passed)).toEqual([device, inode, sizeBytes]);
    expect(sizeBytes).toBe(BigInt(3 * PAGE));
    expect(statusOf(other).slice(0, 2)).not.toEqual([device, inode]);
    const noFile = expect.objectContaining({ code: 'ENODEV' });
    expect(() => statusOf(keep(native.eventfd()))).toThrow(noFile);
  });

  test('a mapping outlives its descriptor', () => {
    const fd = native.memfdCreate('contract', PAGE);
    const mapped = native.map(fd, 0, PAGE, true);
    native.close(fd);
    new Uint8Array(mapped)[PAGE - 1] = 1;
    native.unmap(mapped);
  });

  test('unmapping detaches the buffer: every view becomes empty, and a second unmap is refused', () => {
    const fd = keep(native.memfdCreate('contract', PAGE));
    const mapped = native.map(fd, 0, PAGE, true);
    const view = new Uint8Array(mapped);
    native.unmap(mapped);
    expect(view.length).toBe(0);
    expect(view[0]).toBeUndefined();
    expect(() => native.unmap(mapped)).toThrow(TypeError);
    expect(() => native.unmap(new ArrayBuffer(8))).toThrow(TypeError);
  });

  test('stores into a mapping without write access do not reach the file', () => {
    const fd = keep(native.memfdCreate('contract', PAGE));
    const readOnly = native.map(fd, 0, PAGE, false);
    new Uint8Array(readOnly)[0] = 9;
    const mapped = native.map(fd, 0, PAGE, true);
    expect(new Uint8Array(mapped)[0]).toBe(0);
    native.unmap(mapped);
    native.unmap(readOnly);
  });

  test('a range beyond the end of the file is refused, and a descriptor that is not of a file', () => {
    const fd = keep(native.memfdCreate('contract', PAGE));
    expect(() => native.map(fd, 0, 2 * PAGE, true)).toThrow(
      `mmap of ${2 * PAGE} bytes at offset 0, beyond the end of the file, which has ${PAGE} bytes`,
    );
    expect(() => native.map(keep(native.eventfd()), 0, PAGE, true)).toThrow(
      expect.objectContaining({ code: 'ENODEV' }),
    );
  });

  test('an eventfd counts writes until it is read, and other descriptors are not eventfds', () => {
    const fd = keep(native.eventfd());
    expect(native.eventfdRead(fd)).toBe(0);
    native.eventfdWrite(fd);
    native.eventfdWrite(fd);
    expect(native.eventfdRead(fd)).toBe(2);
    expect(native.eventfdRead(fd)).toBe(0);
    expect(native.isEventfd(fd)).toBe(true);
    expect(native.isEventfd(keep(native.memfdCreate('contract', 0)))).toBe(false);
    expect(native.isEventfd(-1)).toBe(false);
  });

  test('a timerfd expires once after its delay, and not when it is disarmed', async () => {
    const timer = keep(native.timerfd());
    const disarmed = keep(native.timerfd());
    native.timerfdSet(disarmed, 1);
    native.timerfdSet(disarmed, -1);
    native.timerfdSet(timer, 1000);
    expect(await readiness(timer, READABLE)).toBe(READABLE);
    expect(native.timerfdRead(timer)).toBe(1);
    expect(native.timerfdRead(timer)).toBe(0);
    expect(native.timerfdRead(disarmed)).toBe(0);
  });

  test('an exclusive lock excludes others until its descriptor is closed; shared locks do not', () => {
    const [a, b] = setup.openTwice().map(keep) as [number, number];
    expect(native.flock(a, false)).toBe(true);
    expect(native.flock(b, false)).toBe(true);
    expect(native.flock(a, true)).toBe(false);
    close(b);
    expect(native.flock(a, true)).toBe(true);
  });

  test('a file without holes is one extent from any offset, and there is none after its end', () => {
    const file = keep(native.memfdCreate('data', 8192));
    new Uint8Array(native.map(file, 0, 8192, true)).fill(1);
    expect(native.nextExtent(file, 0)).toEqual([0, 8192]);
    expect(native.nextExtent(file, 4096)).toEqual([4096, 8192]);
    expect(native.nextExtent(file, 8192)).toBeUndefined();
  });

  test('a poller calls back again and again while the descriptor stays ready, and not once it is stopped', async () => {
    const [a, b] = pair();
    send(a, [1]);
    let calls = 0;
    await new Promise<void>((resolve) => {
      const poller = new native.Poller(b, () => {
        if (++calls < 3) return;
        poller.stop();
        setImmediate(() => setImmediate(() => (poller.close(), resolve())));
      });
      poller.start(READABLE);
    });
    expect(calls).toBe(3);
  });

  test('a poller calls back again and again when the peer has closed without reading all that was sent', async () => {
    const [a, b] = pair();
    send(b, [1]);
    send(a, [2]);
    close(a);
    let calls = 0;
    await new Promise<void>((resolve) => {
      const poller = new native.Poller(b, () => {
        if (++calls < 3) return;
        poller.close();
        resolve();
      });
      poller.start(READABLE);
    });
    expect(receive(b).bytes).toEqual([2]);
  });

  test('a poller calls back when bytes arrive, and when the peer closes', async () => {
    const [a, b] = pair();
    const bytesCame = readiness(b, READABLE);
    send(a, [1]);
    expect(await bytesCame).toBe(READABLE);
    receive(b);
    const peerWent = readiness(b, READABLE);
    close(a);
    expect(await peerWent).toBe(READABLE);
  });

  test('a closed poller cannot be started, and closing it again does nothing', () => {
    const [a] = pair();
    const poller = new native.Poller(a, () => {});
    poller.start(READABLE);
    poller.unref();
    poller.ref();
    poller.close();
    poller.close();
    poller.stop();
    expect(() => poller.start(READABLE)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });

  test('descriptors that are not open fail with EBADF', () => {
    const fd = native.eventfd();
    native.close(fd);
    const bad = expect.objectContaining({ code: 'EBADF', errno: 9 });
    expect(() => native.close(fd)).toThrow(bad);
    expect(() => native.eventfdWrite(fd)).toThrow(bad);
    expect(() => native.eventfdRead(fd)).toThrow(bad);
    expect(() => native.receive(fd, new Uint8Array(1), 0, 1, words, 0)).toThrow(bad);
    expect(() => native.send(fd, new Uint8Array(1), 0, 1)).toThrow(bad);
    expect(() => native.map(fd, 0, 1, true)).toThrow(bad);
  });

  test('bounds outside of the buffer are a TypeError', () => {
    const [a] = pair();
    expect(() => native.send(a, new Uint8Array(4), 0, 5)).toThrow(TypeError);
    expect(() => native.receive(a, new Uint8Array(4), 4, 4, words, 0)).toThrow(TypeError);
    expect(() => native.receive(a, new Uint8Array(4), 0, 4, new Int32Array(1), 0)).toThrow(TypeError);
  });
}
