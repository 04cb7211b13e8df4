/**
 * Layout of the power management capability, version 3: states D0 and D3hot, no PME.
 *
 * Source: PCI Bus Power Management Interface Spec 1.2, 3.2; PCI Express Base Spec 5.0, 7.5.2.
 */
import { registerMap } from '../../registers';
import { sharedMaps } from '../shared-maps';

const POWER_MANAGEMENT_ID = 0x01;

/** `noSoftReset`: the return to D0 is no reset. */
export const powerManagement = sharedMaps((noSoftReset: boolean) =>
  registerMap(
    {
      ID: { offset: 0x0, width: 8, access: 'ro', reset: POWER_MANAGEMENT_ID },
      NEXT: { offset: 0x1, width: 8, access: 'ro' },
      CAPABILITIES: {
        offset: 0x2,
        width: 16,
        access: 'ro',
        fields: {
          VERSION: { bits: [2, 0], reset: 3, doc: 'Complies with revision 1.2 of the specification.' },
          D1_SUPPORT: [9],
          D2_SUPPORT: [10],
          PME_SUPPORT: [15, 11],
        },
      },
      CONTROL_STATUS: {
        offset: 0x4,
        width: 16,
        access: 'ro',
        fields: {
          POWER_STATE: { bits: [1, 0], access: 'rw', values: { D0: 0, D3HOT: 3 }, doc: 'D1 and D2 are not supported.' },
          NO_SOFT_RESET: {
            bits: [3],
            reset: noSoftReset ? 1 : 0,
            doc: 'The function keeps its state from D3hot to D0.',
          },
        },
      },
    },
    { sizeBytes: 8 },
  ),
);
