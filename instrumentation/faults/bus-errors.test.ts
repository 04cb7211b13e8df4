import { describe, expect, it } from 'vitest';
import { faultyReference } from '../../test/support/faulty-reference';
import { PciCard } from '../../emulator/pci';
import { ManualClock } from '../../emulator/clock';
import { applyFaults, type FaultDeclaration } from '.';

const DEVICE_CONTROL = 0x88;
const ALL_REPORTING = 0xf;

function faulty(...faults: FaultDeclaration[]) {
  const rig = faultyReference(faults);
  const errors = rig.card.inspection.errors!;
  const messages: string[] = [];
  errors.onMessage = (message) => messages.push(message);
  return { ...rig, rig, messages, capability: errors.capability };
}

describe('bus-error', () => {
  it('logs the error, sends its message, and leaves the access as it is', () => {
    const { rig, host, registers, messages, capability } = faulty({
      fault: 'bus-error',
      error: 'unsupported-request',
      header: [1, 15, 4, 0],
      on: 'read',
      register: 'ID',
      occurrence: 2,
    });
    host.config.write8(DEVICE_CONTROL, ALL_REPORTING);
    expect([registers.read('ID'), messages]).toEqual([0x4748_4331, []]);
    expect(registers.read('ID')).toBe(0x4748_4331);
    expect(messages).toEqual(['ERR_NONFATAL']);
    expect(capability.get('UNCORRECTABLE_STATUS')).toBe(1 << 20);
    expect(capability.block('HEADER_LOG', 1).get('WORD')).toBe(15);
    expect(rig.lines().join('\n')).toContain(
      'fault bus-error the card detects unsupported-request: it sends ERR_NONFATAL',
    );
    expect(rig.faulty.unfired).toEqual([]);
  });

  it('says why no message is sent', () => {
    const { rig, registers, messages } = faulty({ fault: 'bus-error', error: 'bad-tlp', on: 'read', register: 'ID' });
    registers.read('ID');
    expect(messages).toEqual([]);
    expect(rig.lines().join('\n')).toContain(
      'the card detects bad-tlp: no message is sent, PCIE.DEVICE_CONTROL.CORRECTABLE_REPORTING is 0',
    );
  });

  it('happens at a time, or with an access of the card to memory, which is done', () => {
    const { rig, host, clock, messages } = faulty(
      { fault: 'bus-error', error: 'malformed-tlp', atNs: 500 },
      { fault: 'bus-error', error: 'completion-timeout', on: 'dma', channel: 'H2C0', role: 'data', access: 'read' },
    );
    host.config.write8(DEVICE_CONTROL, ALL_REPORTING);
    clock.advance(500);
    expect(messages).toEqual(['ERR_FATAL']);
    const channel = rig.channel('H2C');
    channel.submit({ hostAddress: host.memory.allocate(8).iova, lengthBytes: 8 });
    clock.runDue();
    expect(messages).toEqual(['ERR_FATAL', 'ERR_NONFATAL']);
    expect(rig.fired).toEqual([1, 1]);
  });

  it('is refused for a card without the capability, and with a wrong error or header', () => {
    class PlainCard extends PciCard {
      constructor() {
        const identity = { vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00, advancedErrorReporting: false };
        super(identity, { clock: new ManualClock() });
      }
    }
    const on = { on: 'reset', error: 'bad-tlp' } as const;
    expect(() => applyFaults(new PlainCard(), [{ fault: 'bus-error', ...on }])).toThrow(
      'fault 1 (bus-error): the card has no Advanced Error Reporting capability',
    );
    expect(() => faultyReference([{ fault: 'bus-error', ...on, error: 'bad' as 'bad-tlp' }])).toThrow(
      /error is "bad"; it must be one of 'receiver-error', /,
    );
    expect(() => faultyReference([{ fault: 'bus-error', ...on, header: [1, 2, 3, -1] }])).toThrow(
      'header is [1,2,3,-1]; it must be four whole numbers from 0 to 4294967295',
    );
  });
});
