import { expect, it } from 'vitest';
import { figure } from './figure';
import { formatReport, type Report, significant } from './report';

it('numbers are shown with three significant digits', () => {
  expect([9876.5, 123.4, 12.34, 1.234, 0.1234, 0.01234, 0].map(significant)).toEqual([
    '9877',
    '123',
    '12.3',
    '1.23',
    '0.123',
    '0.0123',
    '0',
  ]);
});

it('a report has the machine, and for every figure whether its goal was met', () => {
  const definition = { group: 'a', name: 'a read', unit: 'us', floorName: 'an echo' };
  const goal = { kind: 'at-most', ratio: 1 } as const;
  const report: Report = {
    startedAt: '2026-01-01T00:00:00.000Z',
    quick: false,
    machine: { cpu: 'A CPU', cores: 2, memoryGiB: 4, kernel: '6.1', node: '20.0.0', v8: '11', load: 0.5 },
    busyBefore: 0.25,
    seconds: 3,
    figures: [
      figure({ ...definition, goal }, [{ subject: 5, floor: 10 }]),
      figure({ ...definition, goal }, [{ subject: 20, floor: 10 }]),
      figure(definition, [{ subject: 20, floor: 10 }]),
    ],
    failures: [],
  };
  const lines = formatReport(report).split('\n');
  expect(lines.slice(0, 2)).toEqual([
    'A CPU, 2 cores, 4 GiB; Linux 6.1; Node 20.0.0',
    'load 0.5, processors 25 % busy before; took 3 s',
  ]);
  expect(lines[5]).toMatch(/a read .* 0\.500 .* <= 1 met$/);
  expect(lines[6]).toMatch(/a read .* 2\.00 .* <= 1 NOT MET$/);
  expect(lines[7]).toMatch(/a read .* 2\.00 +2\.00\.\.2\.00$/);
});
