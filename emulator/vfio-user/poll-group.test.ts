import { expect, test } from 'vitest';
import { IDLE, PollGroup, type PollMember, type PollResult, WORKED, YIELD } from './poll-group';
import { SpinPolicy } from './spin';

/** A clock that advances only when a member is polled: by 1 us plus the time it was allowed to spin. */
class Bench {
  nowUs = 1_000_000;
  readonly group = new PollGroup(() => this.nowUs);

  member(script: (call: number) => PollResult, workUs = 1): PollMember & { spins: number[] } {
    const spins: number[] = [];
    return {
      spin: new SpinPolicy({ minUs: 10, maxUs: 100 }),
      lastWorkUs: this.nowUs,
      spins,
      poll: (spinUs) => {
        const result = script(spins.push(spinUs));
        this.nowUs += result === IDLE ? 1 + spinUs : workUs;
        return result;
      },
    };
  }
}

test('a member is polled first without waiting, then in slices until its budget is used up', () => {
  const bench = new Bench();
  const member = bench.member((call) => (call === 1 ? WORKED : IDLE));
  bench.group.woken(member);
  expect(member.spins[0]).toBe(0);
  expect(member.spins.slice(1).every((spinUs) => spinUs <= 10)).toBe(true);
  expect(bench.nowUs - member.lastWorkUs).toBeGreaterThanOrEqual(100);
  expect(bench.nowUs - member.lastWorkUs).toBeLessThan(120);
});

test('an idle member is not polled again before the event loop calls', () => {
  const bench = new Bench();
  const member = bench.member((call) => (call === 1 ? WORKED : IDLE));
  bench.group.woken(member);
  const asked = member.spins.length;
  bench.nowUs += 1_000_000;
  expect(member.spins).toHaveLength(asked);
});

test('a group with continuous traffic returns to the event loop after a millisecond', () => {
  const bench = new Bench();
  const startedUs = bench.nowUs;
  bench.group.woken(bench.member(() => WORKED, 10));
  expect(bench.nowUs - startedUs).toBeGreaterThanOrEqual(1000);
  expect(bench.nowUs - startedUs).toBeLessThan(1020);
});

test('while one member waits, another one with recent work is polled too', () => {
  const bench = new Bench();
  const first = bench.member((call) => (call === 1 ? WORKED : IDLE));
  bench.group.woken(first);
  const askedAlone = first.spins.length;
  const second = bench.member((call) => (call === 1 ? WORKED : IDLE));
  bench.group.woken(second);
  expect(first.spins.length).toBeGreaterThan(askedAlone);
  expect(second.spins.every((spinUs) => spinUs === 0)).toBe(true);
});

test('a member without work for five milliseconds is no longer polled', () => {
  const bench = new Bench();
  const first = bench.member((call) => (call === 1 ? WORKED : IDLE));
  bench.group.woken(first);
  bench.nowUs += 6000;
  const asked = first.spins.length;
  bench.group.woken(bench.member((call) => (call === 1 ? WORKED : IDLE)));
  expect(first.spins).toHaveLength(asked + 1);
});

test('a member that leaves, even while it is polled, is not polled again', () => {
  const bench = new Bench();
  const member: ReturnType<Bench['member']> = bench.member(() => {
    bench.group.leave(member);
    return WORKED;
  });
  bench.group.woken(member);
  expect(member.spins).toHaveLength(1);
});

test('a member that has settled a promise is polled again after a turn of the event loop', async () => {
  const bench = new Bench();
  const order: string[] = [];
  const member = bench.member((call) => {
    order.push(`asked ${call}`);
    if (call === 1) void Promise.resolve().then(() => order.push('promise went on'));
    return call === 1 ? YIELD : IDLE;
  });
  bench.group.woken(member);
  await new Promise((resolve) => setImmediate(resolve));
  expect(order.slice(0, 3)).toEqual(['asked 1', 'promise went on', 'asked 2']);
});
