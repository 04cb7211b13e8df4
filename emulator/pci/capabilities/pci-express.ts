/**
 * Layout of the PCI Express capability, version 2, of an endpoint: the capabilities of the function and its link.
 *
 * Source: PCI Express Base Spec 5.0, 7.5.3 (figure 7-22). The link is not modelled: there is no training, retraining or
 * power management, and the registers read as those of a link trained to its full speed and width.
 */
import { registerMap, type Survives } from '../../registers';
import { type LinkIdentity } from '../identity';
import { sharedMaps } from '../shared-maps';

const PCI_EXPRESS_ID = 0x10;
/** Of version 2, with the registers of slots, which an endpoint does not have. */
export const PCI_EXPRESS_BYTES = 0x3c;

/**
 * The link is up during a function-level reset and in D3hot: what is negotiated between its two ends is kept (6.6.2). A
 * target speed is sticky (7.5.3.19).
 */
const LINK_IS_UP: Survives = ['flr', 'd3hot'];

/** `flr`: the function has a function-level reset. */
export const pciExpress = sharedMaps((link: LinkIdentity, flr: boolean) =>
  registerMap(
    {
      ID: { offset: 0x00, width: 8, access: 'ro', reset: PCI_EXPRESS_ID },
      NEXT: { offset: 0x01, width: 8, access: 'ro' },
      CAPABILITIES: {
        offset: 0x02,
        width: 16,
        access: 'ro',
        fields: {
          VERSION: { bits: [3, 0], reset: 2 },
          DEVICE_PORT_TYPE: { bits: [7, 4], values: { ENDPOINT: 0 } },
          INTERRUPT_MESSAGE_NUMBER: [13, 9],
        },
      },
      DEVICE_CAPABILITIES: {
        offset: 0x04,
        access: 'ro',
        doc: '7.5.3.3',
        fields: {
          MAX_PAYLOAD: { bits: [2, 0], reset: 1, values: { B128: 0, B256: 1, B512: 2 } },
          EXTENDED_TAG: { bits: [5], reset: 1 },
          L0S_LATENCY: { bits: [8, 6], reset: 7, doc: 'Acceptable exit latency: no limit.' },
          L1_LATENCY: { bits: [11, 9], reset: 7, doc: 'Acceptable exit latency: no limit.' },
          ROLE_BASED_ERRORS: { bits: [15], reset: 1, doc: 'Required of every function since version 1.1.' },
          FUNCTION_LEVEL_RESET: { bits: [28], reset: flr ? 1 : 0 },
        },
      },
      DEVICE_CONTROL: {
        offset: 0x08,
        width: 16,
        access: 'ro',
        doc: '7.5.3.4',
        fields: {
          CORRECTABLE_REPORTING: { bits: [0], access: 'rw' },
          NON_FATAL_REPORTING: { bits: [1], access: 'rw' },
          FATAL_REPORTING: { bits: [2], access: 'rw' },
          UNSUPPORTED_REQUEST_REPORTING: { bits: [3], access: 'rw' },
          RELAXED_ORDERING: { bits: [4], access: 'rw', reset: 1 },
          MAX_PAYLOAD: { bits: [7, 5], access: 'rw', survives: LINK_IS_UP },
          EXTENDED_TAG: { bits: [8], access: 'rw', reset: 1 },
          NO_SNOOP: { bits: [11], access: 'rw', reset: 1 },
          MAX_READ_REQUEST: { bits: [14, 12], access: 'rw', reset: 2, values: { B128: 0, B256: 1, B512: 2 } },
          INITIATE_FLR: { bits: [15], access: flr ? 'rw' : 'ro', doc: 'Writing 1 resets the function; reads 0.' },
        },
      },
      DEVICE_STATUS: {
        offset: 0x0a,
        width: 16,
        access: 'ro',
        doc: '7.5.3.5',
        fields: {
          CORRECTABLE_ERROR: { bits: [0], access: 'w1c' },
          NON_FATAL_ERROR: { bits: [1], access: 'w1c' },
          FATAL_ERROR: { bits: [2], access: 'w1c' },
          UNSUPPORTED_REQUEST: { bits: [3], access: 'w1c' },
          TRANSACTIONS_PENDING: [5],
        },
      },
      LINK_CAPABILITIES: {
        offset: 0x0c,
        access: 'ro',
        doc: '7.5.3.6',
        fields: {
          MAX_SPEED: { bits: [3, 0], reset: link.generation },
          MAX_WIDTH: { bits: [9, 4], reset: link.lanes },
          ASPM_SUPPORT: [11, 10],
          ASPM_OPTIONALITY: { bits: [22], reset: 1, doc: 'Must be 1; permits a function without ASPM.' },
        },
      },
      LINK_CONTROL: {
        offset: 0x10,
        width: 16,
        access: 'ro',
        survives: LINK_IS_UP,
        doc: '7.5.3.7',
        fields: {
          ASPM_CONTROL: { bits: [1, 0], access: 'rw' },
          READ_COMPLETION_BOUNDARY: { bits: [3], access: 'rw' },
          COMMON_CLOCK: { bits: [6], access: 'rw' },
          EXTENDED_SYNCH: { bits: [7], access: 'rw' },
        },
      },
      LINK_STATUS: {
        offset: 0x12,
        width: 16,
        access: 'ro',
        doc: '7.5.3.8',
        fields: {
          SPEED: { bits: [3, 0], reset: link.generation },
          WIDTH: { bits: [9, 4], reset: link.lanes },
          SLOT_CLOCK: { bits: [12], reset: 1, doc: 'Uses the reference clock of the slot.' },
        },
      },
      DEVICE_CAPABILITIES_2: {
        offset: 0x24,
        access: 'ro',
        doc: '7.5.3.15',
        fields: {
          COMPLETION_TIMEOUT_RANGES: { bits: [3, 0], reset: 0xf, doc: '50 us to 64 s.' },
          COMPLETION_TIMEOUT_DISABLE: { bits: [4], reset: 1 },
        },
      },
      DEVICE_CONTROL_2: {
        offset: 0x28,
        width: 16,
        access: 'ro',
        doc: '7.5.3.16',
        fields: {
          COMPLETION_TIMEOUT: { bits: [3, 0], access: 'rw' },
          COMPLETION_TIMEOUT_DISABLE: { bits: [4], access: 'rw' },
        },
      },
      LINK_CAPABILITIES_2: {
        offset: 0x2c,
        access: 'ro',
        doc: '7.5.3.18',
        fields: {
          SUPPORTED_SPEEDS: { bits: [7, 1], reset: 2 ** link.generation - 1, doc: 'One bit per generation.' },
        },
      },
      LINK_CONTROL_2: {
        offset: 0x30,
        width: 16,
        access: 'ro',
        doc: '7.5.3.19',
        fields: {
          TARGET_SPEED: { bits: [3, 0], access: 'rw', reset: link.generation, survives: 'sticky' },
        },
      },
      LINK_STATUS_2: {
        offset: 0x32,
        width: 16,
        access: 'ro',
        doc: '7.5.3.20',
        fields: {
          EQUALIZATION: { bits: [4, 1], reset: link.generation >= 3 ? 0xf : 0, doc: 'Complete, all three phases.' },
        },
      },
    },
    { sizeBytes: 64 },
  ),
);
