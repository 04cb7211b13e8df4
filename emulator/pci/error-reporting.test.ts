/** Errors of the bus: what a function logs, and whether it sends a message. */
import { describe, expect, test } from 'vitest';
import { D3_HOT, DEVICE_CONTROL, PMCSR, STATUS, TestBus } from '../../test/support/pci-bus';
import { ManualClock } from '../clock';
import { PciCard } from './card';
import { type BusError, type ErrorMessage } from './error-reporting';

class ErrorCard extends PciCard {
  constructor() {
    super({ vendorId: 0x1234, deviceId: 0x4772, classCode: 0x12_00_00 }, { clock: new ManualClock() });
  }
}

const DEVICE_STATUS = DEVICE_CONTROL + 2;
const AER = 0x100;
const UNCORRECTABLE_STATUS = AER + 0x04;
const UNCORRECTABLE_MASK = AER + 0x08;
const SEVERITY = AER + 0x0c;
const CORRECTABLE_STATUS = AER + 0x10;
const CORRECTABLE_MASK = AER + 0x14;
const FIRST_ERROR = AER + 0x18;
const HEADER_LOG = AER + 0x1c;

const POISONED = 1 << 12;
const COMPLETION_TIMEOUT = 1 << 14;
const MALFORMED = 1 << 18;
const UNSUPPORTED = 1 << 20;
const INTERNAL = 1 << 22;
const ALL_REPORTING = 0xf;
const SERR = 1 << 8;

function setUp({ control = ALL_REPORTING, command = 0 } = {}) {
  const card = new ErrorCard();
  const bus = new TestBus(card);
  bus.setConfig(DEVICE_CONTROL, control, 2);
  bus.command(command);
  const errors = card.inspection.errors!;
  const messages: ErrorMessage[] = [];
  errors.onMessage = (message) => messages.push(message);
  return { card, bus, errors, messages, detect: (...all: BusError[]) => all.map((error) => errors.detect(error)) };
}

describe('the capability', () => {
  test('has the defaults of the specification (PCIe 7.8.4)', () => {
    const { bus } = setUp();
    expect([UNCORRECTABLE_STATUS, UNCORRECTABLE_MASK, SEVERITY].map((at) => bus.config(at))).toEqual([
      ...[0, INTERNAL, 0x0046_2010],
    ]);
    expect([CORRECTABLE_STATUS, CORRECTABLE_MASK, FIRST_ERROR].map((at) => bus.config(at))).toEqual([0, 0x6000, 0]);
  });

  test('keeps what is logged and set in a reset, and loses it with the power (PCIe 7.8.4)', () => {
    const { card, bus, detect } = setUp();
    bus.setConfig(UNCORRECTABLE_MASK, MALFORMED);
    detect('completion-timeout', 'bad-tlp');
    const read = () => [UNCORRECTABLE_STATUS, UNCORRECTABLE_MASK, CORRECTABLE_STATUS].map((at) => bus.config(at));
    card.reset();
    expect(read()).toEqual([COMPLETION_TIMEOUT, MALFORMED, 1 << 6]);
    card.reset('power');
    expect(read()).toEqual([0, INTERNAL, 0]);
  });

  test('is left out of a card that says so', () => {
    class PlainCard extends PciCard {
      constructor() {
        const identity = { vendorId: 0x1234, deviceId: 1, classCode: 0x12_00_00, advancedErrorReporting: false };
        super(identity, { clock: new ManualClock() });
      }
    }
    const card = new PlainCard();
    expect([new TestBus(card).config(AER), card.inspection.errors]).toEqual([0, undefined]);
  });
});

describe('an uncorrectable error', () => {
  test.each([
    ['completion-timeout', COMPLETION_TIMEOUT, 1 << 1, 'ERR_NONFATAL'],
    ['poisoned-tlp', POISONED, 1 << 1, 'ERR_NONFATAL'],
    ['unsupported-request', UNSUPPORTED, (1 << 1) | (1 << 3), 'ERR_NONFATAL'],
    ['malformed-tlp', MALFORMED, 1 << 2, 'ERR_FATAL'],
  ] as const)('%s is logged and reported (PCIe 6.2.5)', (error, status, deviceStatus, message) => {
    const { bus, messages, detect } = setUp();
    expect(detect(error)).toEqual([{ sent: message }]);
    expect([bus.config(UNCORRECTABLE_STATUS), bus.config(DEVICE_STATUS, 2)]).toEqual([status, deviceStatus]);
    expect(messages).toEqual([message]);
    bus.setConfig(UNCORRECTABLE_STATUS, status);
    bus.setConfig(DEVICE_STATUS, 0xf, 2);
    expect([bus.config(UNCORRECTABLE_STATUS), bus.config(DEVICE_STATUS, 2)]).toEqual([0, 0]);
  });

  test('has the severity that software has set (PCIe 7.8.4)', () => {
    const { bus, detect } = setUp();
    bus.setConfig(SEVERITY, COMPLETION_TIMEOUT);
    expect(detect('completion-timeout', 'malformed-tlp')).toEqual([{ sent: 'ERR_FATAL' }, { sent: 'ERR_NONFATAL' }]);
  });

  test('that is masked sets its status only (PCIe 6.2.5)', () => {
    const { bus, errors, messages } = setUp();
    bus.setConfig(UNCORRECTABLE_MASK, MALFORMED);
    expect(errors.detect('malformed-tlp', [1, 2, 3, 4])).toEqual({
      unsent: 'AER.UNCORRECTABLE_MASK.MALFORMED_TLP is 1',
    });
    expect([UNCORRECTABLE_STATUS, FIRST_ERROR, HEADER_LOG].map((at) => bus.config(at))).toEqual([MALFORMED, 0, 0]);
    expect(messages).toEqual([]);
  });

  test('is the first until software clears its status, and its packet is in the log (PCIe 6.2.4)', () => {
    const { bus, errors } = setUp();
    errors.detect('unsupported-request', [0x0400_0001, 0x0000_000f, 0x0100_0000, 0]);
    errors.detect('malformed-tlp', [9, 9, 9, 9]);
    const log = () => [FIRST_ERROR, HEADER_LOG, HEADER_LOG + 4, HEADER_LOG + 8].map((at) => bus.config(at));
    expect(log()).toEqual([20, 0x0400_0001, 0xf, 0x0100_0000]);
    bus.setConfig(UNCORRECTABLE_STATUS, UNSUPPORTED);
    errors.detect('poisoned-tlp', [7, 6, 5, 4]);
    expect(log()).toEqual([12, 7, 6, 5]);
  });

  test('is reported by SERR# Enable alone, and the Status register says so (PCIe 6.2.6)', () => {
    const { bus, detect } = setUp({ control: 0, command: SERR });
    expect(detect('unsupported-request')).toEqual([{ sent: 'ERR_NONFATAL' }]);
    expect(bus.config(STATUS, 2) & (1 << 14)).toBe(1 << 14);
  });

  test('is logged and not reported without an enable', () => {
    const { bus, messages, detect } = setUp({ control: 0b0010 });
    expect(detect('unsupported-request', 'malformed-tlp')).toEqual([
      { unsent: 'PCIE.DEVICE_CONTROL.UNSUPPORTED_REQUEST_REPORTING and COMMAND.SERR_ENABLE are 0' },
      { unsent: 'PCIE.DEVICE_CONTROL.FATAL_REPORTING and COMMAND.SERR_ENABLE are 0' },
    ]);
    expect([bus.config(UNCORRECTABLE_STATUS), messages]).toEqual([UNSUPPORTED | MALFORMED, []]);
  });
});

describe('a correctable error', () => {
  test('is logged and reported (PCIe 6.2.5)', () => {
    const { bus, detect } = setUp();
    expect(detect('replay-timeout')).toEqual([{ sent: 'ERR_COR' }]);
    expect([bus.config(CORRECTABLE_STATUS), bus.config(DEVICE_STATUS, 2)]).toEqual([1 << 12, 1]);
  });

  test('is not reported while masked or not enabled, which SERR# Enable does not replace (PCIe 6.2.6)', () => {
    const { bus, detect } = setUp({ control: 0, command: SERR });
    expect(detect('bad-dllp', 'advisory-non-fatal')).toEqual([
      { unsent: 'PCIE.DEVICE_CONTROL.CORRECTABLE_REPORTING is 0' },
      { unsent: 'AER.CORRECTABLE_MASK.ADVISORY_NON_FATAL is 1' },
    ]);
    expect(bus.config(CORRECTABLE_STATUS)).toBe((1 << 7) | (1 << 13));
  });
});

test('a function in D3hot sends no message (PCIe 6.2.6)', () => {
  const { bus, detect } = setUp();
  bus.setConfig(PMCSR, D3_HOT, 2);
  expect(detect('completion-timeout')).toEqual([{ unsent: 'the function is in D3hot' }]);
});
