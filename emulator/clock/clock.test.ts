import { describe, expect, it } from 'vitest';
import { ManualClock, WallClock } from '.';

describe('ManualClock', () => {
  it('runs tasks in the order of their due times, equals in the order they came', () => {
    const clock = new ManualClock();
    const ran: string[] = [];
    const note = (name: string) => () => ran.push(`${name}@${clock.now()}`);
    clock.after(20, note('late'));
    clock.after(10, note('first'));
    clock.after(10, note('second'));
    clock.advance(15);
    expect(ran).toEqual(['first@10', 'second@10']);
    clock.advance(5);
    expect(ran).toEqual(['first@10', 'second@10', 'late@20']);
  });

  it('runs what tasks schedule on the way, each at its own time', () => {
    const clock = new ManualClock();
    const times: number[] = [];
    const again = (): void => {
      times.push(clock.now());
      if (times.length < 4) clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(100);
    expect(times).toEqual([10, 20, 30, 40]);
    expect(clock.now()).toBe(100);
  });

  it('does not run a cancelled task, and says that nothing is left', () => {
    const clock = new ManualClock();
    const task = clock.after(0, () => expect.unreachable());
    task.cancel();
    expect(clock.runDue()).toBe(false);
    expect(clock.nextDueNs).toBeUndefined();
  });

  it('keeps order over ten thousand random delays', () => {
    const clock = new ManualClock();
    const due: number[] = [];
    let seed = 7;
    for (let index = 0; index < 10_000; index++) {
      seed = (seed * 48_271) % 0x7fff_ffff;
      const delayNs = seed % 1000;
      clock.after(delayNs, () => due.push(delayNs));
    }
    clock.advance(1000);
    expect(due).toEqual([...due].sort((a, b) => a - b));
    expect(due).toHaveLength(10_000);
  });
});

describe('WallClock', () => {
  it('stamps records with a time that is not ahead, and not from before the code that runs', async () => {
    const clock = new WallClock();
    const stamps = Array.from({ length: 100 }, () => clock.stamp());
    expect([...stamps].sort((a, b) => a - b)).toEqual(stamps);
    expect(stamps.at(-1)).toBeLessThanOrEqual(clock.now());
    await Promise.resolve();
    const before = clock.now();
    expect(clock.stamp()).toBeGreaterThanOrEqual(before);
  });

  it('never runs a task inside the call that schedules it', () => {
    const clock = new WallClock();
    let ran = false;
    clock.after(0, () => (ran = true));
    expect(ran).toBe(false);
    expect(clock.runDue()).toBe(true);
    expect(ran).toBe(true);
  });

  it('runs what nobody runs from the event loop, not before it is due', async () => {
    const clock = new WallClock();
    const delayNs = 3_000_000;
    const ranAtNs = await new Promise<number>((resolve) => clock.after(delayNs, () => resolve(clock.now())));
    expect(ranAtNs).toBeGreaterThanOrEqual(delayNs);
  });

  it('does not hold runDue for a task that schedules itself again at once', () => {
    const clock = new WallClock();
    let runs = 0;
    const again = (): void => {
      runs++;
      clock.after(0, again);
    };
    clock.after(0, again);
    clock.runDue();
    expect(runs).toBe(1);
    clock.close();
  });

  it('runs nothing after it is closed', async () => {
    const clock = new WallClock();
    clock.after(0, () => expect.unreachable());
    clock.close();
    await new Promise((resolve) => setImmediate(resolve));
  });
});
