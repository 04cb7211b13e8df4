import { expect, it } from 'vitest';
import { ManualClock, Process } from '../clock';
import { Link } from '.';

it('a link takes the time of the bytes, one transfer after the other in each direction by itself', () => {
  const clock = new ManualClock();
  const link = new Link(clock, { bytesPerSecond: 1e9, completionLatencyNs: 0 });
  expect([link.occupy('h2c', 1000), link.occupy('h2c', 500), link.occupy('c2h', 100)]).toEqual([1000, 1500, 100]);
  clock.advance(1200);
  expect([link.occupy('h2c', 1000), link.occupy('c2h', 100)]).toEqual([1300, 100]);
  link.reset();
  expect(link.occupy('h2c', 1000)).toBe(1000);
});

it('transfers that wait for a link one after the other take exactly the time that its bandwidth says', () => {
  const clock = new ManualClock();
  const link = new Link(clock, { bytesPerSecond: 3.2e9, completionLatencyNs: 0 });
  let endedNs = 0;
  const body = function* () {
    for (let count = 0; count < 2000; count++) yield { delayNs: link.occupy('h2c', 65_536) };
    endedNs = clock.now();
  };
  new Process(clock).start(body());
  clock.advance(1e9);
  expect(endedNs).toBeCloseTo((2000 * 65_536 * 1e9) / 3.2e9, 3);
});

it('a link without a bandwidth, or with a latency below 0, is refused', () => {
  const make = (model: ConstructorParameters<typeof Link>[1]) => () => new Link(new ManualClock(), model);
  expect(make({ bytesPerSecond: 0, completionLatencyNs: 0 })).toThrow('bytesPerSecond is 0; it must be above 0');
  expect(make({ bytesPerSecond: 1, completionLatencyNs: -1 })).toThrow(
    'completionLatencyNs is -1; it must be 0 or more',
  );
});
