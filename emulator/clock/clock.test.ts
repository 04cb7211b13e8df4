import { describe, expect, it } from 'vitest';
import { CardClock, ManualClock, WallClock } from '.';

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
  it('leaves what a task schedules for at once to the next turn', () => {
    const clock = new WallClock();
    let turns = 0;
    const again = () => void (turns++, clock.at(0, again));
    again();
    clock.runDue();
    expect(turns).toBe(2);
    clock.close();
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

  it('makes up for lateness: tasks that are run late see the times at which they were due', () => {
    const clock = new WallClock();
    const times: number[] = [];
    const startedNs = clock.now();
    const tick = () => {
      times.push(clock.now() - startedNs);
      if (times.length < 5) clock.after(100_000, tick);
    };
    clock.at(startedNs + 100_000, tick);
    clock.stall(2_000_000);
    while (times.length < 5) clock.runDue();
    expect(times).toEqual([100_000, 200_000, 300_000, 400_000, 500_000]);
    expect(clock.now() - startedNs).toBeGreaterThanOrEqual(2_000_000);
    clock.close();
  });

  it('makes up for lateness also for a driver that asks for the time all along', () => {
    const clock = new WallClock();
    const startedNs = clock.now();
    const times: number[] = [];
    const tick = () => {
      times.push(clock.now() - startedNs);
      if (times.length < 5) clock.after(100_000, tick);
    };
    clock.at(startedNs + 100_000, tick);
    while (times.length < 5) {
      clock.stall(70_000);
      expect(clock.now() - startedNs).toBeLessThanOrEqual((times.length + 1) * 100_000);
      clock.runDue();
    }
    expect(times).toEqual([100_000, 200_000, 300_000, 400_000, 500_000]);
  });

  it('is told to be that of a late task until the task has run, for a tenth of a second', () => {
    const clock = new WallClock();
    const dueNs = clock.now() + 1000;
    let ranAtNs = 0;
    clock.at(dueNs, () => (ranAtNs = clock.now()));
    clock.stall(1_000_000);
    expect(clock.now()).toBe(dueNs);
    clock.stall(110_000_000);
    const toldNs = clock.now();
    expect(toldNs).toBeGreaterThan(dueNs);
    clock.runDue();
    expect(ranAtNs).toBeGreaterThanOrEqual(toldNs); // time never goes back
    expect(clock.now()).toBeGreaterThan(dueNs + 110_000_000);
  });

  it('runs nothing after it is closed', async () => {
    const clock = new WallClock();
    clock.after(0, () => expect.unreachable());
    clock.close();
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('lets time pass when it is stalled, and what has become due afterwards', () => {
    const clock = new WallClock();
    const ran: number[] = [];
    clock.after(0, () => ran.push(clock.now()));
    const before = clock.now();
    clock.stall(2_000_000);
    expect(ran).toEqual([]);
    clock.runDue();
    expect(ran).toHaveLength(1);
    expect(clock.now()).toBeGreaterThanOrEqual(before + 2_000_000);
    clock.close();
  });
});

describe('CardClock', () => {
  it('stands still while the card reacts, and schedules from the time of the cause', () => {
    const manual = new ManualClock();
    const clock = new CardClock(manual);
    manual.advance(10);
    clock.enter();
    manual.advance(5);
    expect(clock.now()).toBe(10);
    const ran: number[] = [];
    clock.after(100, () => ran.push(clock.now()));
    clock.leave();
    expect(clock.now()).toBe(15);
    manual.advance(94);
    expect(ran).toEqual([]);
    manual.advance(1);
    expect(ran).toEqual([110]);
  });

  it('stands still until all is done that follows from a promise, and settles one after the other', async () => {
    const manual = new ManualClock();
    const clock = new CardClock(manual);
    const log: string[] = [];
    const settled = (name: string) =>
      new Promise<void>((resolve) => clock.settle(() => (log.push(`${name} at ${clock.now()}`), resolve()))).then(
        async () => {
          manual.advance(10);
          await Promise.resolve();
          log.push(`after ${name} at ${clock.now()}`);
        },
      );
    await Promise.all([settled('first'), settled('second')]);
    expect(log).toEqual(['first at 0', 'after first at 0', 'second at 10', 'after second at 10']);
  });

  it('tells of what comes inside a reaction', () => {
    const clock = new CardClock(new ManualClock());
    let nested = 0;
    clock.onNested = () => nested++;
    clock.enter();
    expect(nested).toBe(0);
    clock.enter();
    clock.leave();
    clock.leave();
    expect(nested).toBe(1);
  });

  it('gives a task its own time, also when it runs inside a reaction, and tells of it', () => {
    const manual = new ManualClock();
    const clock = new CardClock(manual);
    const times: number[] = [];
    clock.onTask = () => times.push(clock.now());
    clock.after(20, () => {});
    clock.enter();
    manual.advance(30);
    expect(times).toEqual([20]);
    expect(clock.now()).toBe(0);
    clock.leave();
  });
});
