import { describe, expect, it } from 'vitest';
import { Port, PORT, TwoPorts } from '../../test/support/two-ports';
import { ManualClock } from '../clock';
import { InProcessHost } from '../host';
import { type CardEnvironment } from './card';
import { MultifunctionCard } from './multifunction-card';

function setUp() {
  const clock = new ManualClock();
  const hosts = new TwoPorts().makeFunctions({ clock }).map((card) => new InProcessHost(card));
  for (const host of hosts) host.useInterrupts('msi');
  return { clock, hosts, ports: hosts.map((host) => host.registers(0, PORT)) };
}

describe('MultifunctionCard', () => {
  it('has functions whose header says that there are several (PCI 3.0, 6.2.1), also after a reset', () => {
    const { hosts } = setUp();
    for (const host of hosts) {
      expect(host.config.read8(0x0e)).toBe(0x80);
      host.reset('flr');
      expect(host.config.read8(0x0e)).toBe(0x80);
    }
    expect(new InProcessHost(new Port(new TwoPorts().wire)).config.read8(0x0e)).toBe(0);
  });

  it('has functions with registers and interrupts of their own, which reach each other through what they share', () => {
    const { clock, hosts, ports } = setUp();
    expect(ports.map((port) => port.read('NUMBER'))).toEqual([0, 1]);
    ports[0]!.write('SEND', 0xabcd);
    expect(ports.map((port) => port.read('RECEIVED'))).toEqual([0, 0xabcd]);
    expect(hosts.map(({ interrupts }) => interrupts.count())).toEqual([0, 1]);
    ports[0]!.write('RING', 1);
    clock.advance(1000);
    expect(hosts.map(({ interrupts }) => interrupts.count())).toEqual([1, 1]);
  });

  it('leaves the others alone when one function is reset', () => {
    const { hosts, ports } = setUp();
    for (const port of ports) port.write('SCRATCH', 5);
    hosts[1]!.reset('flr');
    expect(ports.map((port) => port.read('SCRATCH'))).toEqual([5, 0]);
  });

  it.each([1, 9])('with %i function(s) is refused', (count) => {
    class Wrong extends MultifunctionCard {
      readonly functions = Array.from({ length: count }, () => (environment: CardEnvironment) => {
        return new Port(new TwoPorts().wire, environment);
      });
    }
    expect(() => new Wrong().makeFunctions()).toThrow(`Wrong has ${count} function(s): a MultifunctionCard has 2 to 8`);
  });
});
