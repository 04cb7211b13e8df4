import { describe, expect, test } from 'vitest';
import { DeviceError } from '../device';
import { CountingSink, poweredBell, type TestBus } from '../../test/support/pci-bus';
import { Irq } from './vfio-layout';

describe('interrupt setup by the client', () => {
  test('a replaced sink is closed once', () => {
    const { bus } = poweredBell();
    const first = bus.connect(Irq.MSIX, 8);
    const second = bus.connect(Irq.MSIX, 4);
    bus.disconnectAll(Irq.MSIX);
    bus.disconnectAll(Irq.MSIX);
    expect([...first, ...second].map(({ closes }) => closes)).toEqual(new Array(12).fill(1));
  });

  test('connecting a sink to its own vector again does not close it', () => {
    const { bus } = poweredBell();
    const [sink] = bus.connect(Irq.MSIX, 1);
    bus.device.setIrqs({ index: Irq.MSIX, start: 0, count: 1, action: { kind: 'sinks', sinks: [sink] } });
    expect(sink!.closes).toBe(0);
  });

  test('a sink that two vectors share is closed once when both are disconnected together', () => {
    const { bus } = poweredBell();
    const sink = new CountingSink();
    bus.device.setIrqs({ index: Irq.MSIX, start: 0, count: 2, action: { kind: 'sinks', sinks: [sink, sink] } });
    bus.disconnectAll(Irq.MSIX);
    expect(sink.closes).toBe(1);
  });

  test('a sink that two vectors share is closed when the second is disconnected', () => {
    const { bus } = poweredBell();
    const [sink] = bus.connect(Irq.MSIX, 1, 0);
    bus.device.setIrqs({ index: Irq.MSIX, start: 1, count: 1, action: { kind: 'sinks', sinks: [sink] } });
    bus.disconnect(Irq.MSIX, 0);
    expect(sink!.closes).toBe(0);
    bus.disconnect(Irq.MSIX, 1);
    expect(sink!.closes).toBe(1);
  });

  test.each([Irq.INTX, Irq.MSI, Irq.MSIX, Irq.ERROR, Irq.REQUEST])(
    'the loopback trigger of index %i works',
    (index) => {
      const { bus } = poweredBell();
      const [sink] = bus.connect(index);
      bus.irq('trigger', index);
      expect(sink!.triggers).toBe(1);
    },
  );

  test('a trigger with flags reaches the flagged vectors only', () => {
    const { bus } = poweredBell();
    const sinks = bus.connect(Irq.MSIX, 8);
    const vectors = [true, false, true];
    bus.device.setIrqs({ index: Irq.MSIX, start: 4, count: 3, action: { kind: 'trigger', vectors } });
    expect(sinks.map(({ triggers }) => triggers)).toEqual([0, 0, 0, 0, 1, 0, 1, 0]);
  });

  test('a mask request with its flag clear does nothing', () => {
    const { bus, irqs } = poweredBell();
    const [sink] = bus.connect(Irq.INTX);
    bus.device.setIrqs({ index: Irq.INTX, start: 0, count: 1, action: { kind: 'mask', vectors: [false] } });
    irqs.setIntx(true);
    expect(sink!.triggers).toBe(1);
  });

  test('errors and requests of the card reach the client', () => {
    const { bus, irqs } = poweredBell();
    const [error] = bus.connect(Irq.ERROR);
    const [request] = bus.connect(Irq.REQUEST);
    irqs.reportError();
    irqs.requestRelease();
    expect([error!.triggers, request!.triggers]).toEqual([1, 1]);
  });

  test.each<[string, (bus: TestBus) => void, string]>([
    ['an invalid index', (b) => b.connect(5), 'interrupt index 5: valid indexes are 0 to 4'],
    ['more vectors than the card has', (b) => b.connect(Irq.MSIX, 9), 'sinks of MSI-X vectors 0 to 8: the card has 8'],
    ['a start beyond the end', (b) => b.connect(Irq.MSI, 1, 8), 'sinks of MSI vectors 8 to 8: the card has 8'],
    [
      'masking MSI-X',
      (b) => b.irq('mask', Irq.MSIX),
      "mask of MSI-X vectors 0 to 0: only the function's own registers",
    ],
    [
      'a number of sinks that differs from the count',
      (b) => b.device.setIrqs({ index: 2, start: 0, count: 2, action: { kind: 'sinks', sinks: [undefined] } }),
      'sinks of MSI-X vectors 0 to 1: 1 sinks were given',
    ],
    [
      'a number of flags that differs from the count',
      (b) => b.device.setIrqs({ index: 2, start: 0, count: 2, action: { kind: 'trigger', vectors: [true] } }),
      'trigger of MSI-X vectors 0 to 1: 1 flags were given',
    ],
  ])('%s is refused as invalid', (_, act, message) => {
    const { bus } = poweredBell();
    expect(() => act(bus)).toThrow(message);
    expect(() => act(bus)).toThrow(expect.objectContaining({ errno: 22 }));
    expect(() => act(bus)).toThrow(DeviceError);
  });

  test('a refused request closes no sink', () => {
    const { bus } = poweredBell();
    const sinks = bus.connect(Irq.MSIX, 8);
    expect(() => bus.connect(Irq.MSIX, 9)).toThrow();
    expect(sinks.every(({ closes }) => closes === 0)).toBe(true);
  });
});

test('signalling an invalid vector number throws', () => {
  expect(() => poweredBell().irqs.signal(-1)).toThrow('signalling vector -1');
});
