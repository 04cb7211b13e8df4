/**
 * Layout of the Advanced Error Reporting capability of an endpoint, version 2, without ECRC, multiple header recording and
 * TLP prefixes; and the errors that a function can report.
 *
 * Source: PCI Express Base Spec 5.0, 7.8.4, and tables 6-2 to 6-4 (which error has which default severity).
 */
import { registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';
import { extendedHeader } from './custom';

export const ADVANCED_ERROR_REPORTING_ID = 0x0001;

/** Bits of the uncorrectable status, mask and severity registers, and whether the error is fatal by default. */
export const UNCORRECTABLE_ERRORS = {
  'data-link-protocol': { field: 'DATA_LINK_PROTOCOL', bit: 4, fatal: true },
  'poisoned-tlp': { field: 'POISONED_TLP', bit: 12, fatal: false },
  'flow-control': { field: 'FLOW_CONTROL', bit: 13, fatal: true },
  'completion-timeout': { field: 'COMPLETION_TIMEOUT', bit: 14, fatal: false },
  'completer-abort': { field: 'COMPLETER_ABORT', bit: 15, fatal: false },
  'unexpected-completion': { field: 'UNEXPECTED_COMPLETION', bit: 16, fatal: false },
  'receiver-overflow': { field: 'RECEIVER_OVERFLOW', bit: 17, fatal: true },
  'malformed-tlp': { field: 'MALFORMED_TLP', bit: 18, fatal: true },
  'unsupported-request': { field: 'UNSUPPORTED_REQUEST', bit: 20, fatal: false },
  'internal': { field: 'INTERNAL', bit: 22, fatal: true },
} as const;

/** Bits of the correctable status and mask registers. */
export const CORRECTABLE_ERRORS = {
  'receiver-error': { field: 'RECEIVER_ERROR', bit: 0 },
  'bad-tlp': { field: 'BAD_TLP', bit: 6 },
  'bad-dllp': { field: 'BAD_DLLP', bit: 7 },
  'replay-rollover': { field: 'REPLAY_ROLLOVER', bit: 8 },
  'replay-timeout': { field: 'REPLAY_TIMEOUT', bit: 12 },
  'advisory-non-fatal': { field: 'ADVISORY_NON_FATAL', bit: 13 },
  'corrected-internal': { field: 'CORRECTED_INTERNAL', bit: 14 },
} as const;

/** Errors that are masked by default: those that came with role-based reporting and internal errors. */
const MASKED: readonly string[] = ['INTERNAL', 'ADVISORY_NON_FATAL', 'CORRECTED_INTERNAL'];

interface ErrorBit {
  readonly field: string;
  readonly bit: number;
  readonly fatal?: boolean;
}

const bitsOf = (
  errors: Readonly<Record<string, ErrorBit>>,
  access: 'rw' | 'w1c',
  reset: (error: ErrorBit) => boolean,
) =>
  Object.fromEntries(
    Object.values(errors).map((error) => [error.field, { bits: [error.bit], access, reset: reset(error) ? 1 : 0 }]),
  ) as Record<string, { bits: readonly [number]; access: 'rw' | 'w1c'; reset: number }>;

/** All that is logged and set is sticky (7.8.4): it survives every reset while there is power. */
export const advancedErrorReporting = sharedMaps(() =>
  registerMap(
    {
      HEADER: extendedHeader(ADVANCED_ERROR_REPORTING_ID, 2),
      UNCORRECTABLE_STATUS: {
        offset: 0x04,
        access: 'ro',
        doc: '7.8.4.2',
        fields: bitsOf(UNCORRECTABLE_ERRORS, 'w1c', () => false),
      },
      UNCORRECTABLE_MASK: {
        offset: 0x08,
        access: 'ro',
        doc: '7.8.4.3',
        fields: bitsOf(UNCORRECTABLE_ERRORS, 'rw', ({ field }) => MASKED.includes(field)),
      },
      UNCORRECTABLE_SEVERITY: {
        offset: 0x0c,
        access: 'ro',
        doc: '7.8.4.4; 1: fatal.',
        fields: bitsOf(UNCORRECTABLE_ERRORS, 'rw', ({ fatal }) => fatal === true),
      },
      CORRECTABLE_STATUS: {
        offset: 0x10,
        access: 'ro',
        doc: '7.8.4.5',
        fields: bitsOf(CORRECTABLE_ERRORS, 'w1c', () => false),
      },
      CORRECTABLE_MASK: {
        offset: 0x14,
        access: 'ro',
        doc: '7.8.4.6',
        fields: bitsOf(CORRECTABLE_ERRORS, 'rw', ({ field }) => MASKED.includes(field)),
      },
      CAPABILITIES_CONTROL: {
        offset: 0x18,
        access: 'ro',
        doc: '7.8.4.7',
        fields: { FIRST_ERROR: { bits: [4, 0], doc: 'The bit of the error that the header log belongs to.' } },
      },
      HEADER_LOG: {
        offset: 0x1c,
        stride: 4,
        count: 4,
        registers: {
          WORD: { offset: 0, access: 'ro', doc: '7.8.4.8: the header of the TLP, its first byte highest.' },
        },
      },
    },
    { sizeBytes: 64, survives: 'sticky' },
  ),
);
