/**
 * The errors of the bus that a function detects: it logs them in its registers, and sends the message that its registers
 * allow.
 *
 * Source: PCI Express Base Spec 5.0, 6.2.4 (logging), 6.2.5 (figure 6-2, the sequence), 6.2.6 (when a message is sent).
 */
import { RegisterFile } from '../registers';
import {
  advancedErrorReporting,
  CORRECTABLE_ERRORS,
  UNCORRECTABLE_ERRORS,
} from './capabilities/advanced-error-reporting';
import { type pciExpress } from './capabilities/pci-express';
import { type type0Header } from './type0-header';

type UncorrectableError = keyof typeof UNCORRECTABLE_ERRORS;
type CorrectableError = keyof typeof CORRECTABLE_ERRORS;
/** What a function can detect, and log in its capability. */
export type BusError = CorrectableError | UncorrectableError;
export const BUS_ERRORS: readonly BusError[] = [
  ...(Object.keys(CORRECTABLE_ERRORS) as CorrectableError[]),
  ...(Object.keys(UNCORRECTABLE_ERRORS) as UncorrectableError[]),
];

/** The message that reports an error to the root complex. */
export type ErrorMessage = 'ERR_COR' | 'ERR_NONFATAL' | 'ERR_FATAL';

/** Four words of 32 bits: the header of the packet that an error is about. */
export type TlpHeader = readonly [number, number, number, number];

/** What has become of an error: the message that was sent, or the reason why none was. */
export type ErrorOutcome = { readonly sent: ErrorMessage } | { readonly unsent: string };

export class ErrorReporting {
  readonly capability = new RegisterFile(advancedErrorReporting());
  /** Delivers messages to the root port, if there is one. */
  onMessage: (message: ErrorMessage) => void = () => {};

  constructor(
    private readonly header: RegisterFile<ReturnType<typeof type0Header>['spec']>,
    private readonly express: RegisterFile<ReturnType<typeof pciExpress>['spec']>,
    /** Whether the function may send messages: in D0. */
    private readonly maySend: () => boolean,
  ) {}

  /**
   * The function has detected an error. `header`: the packet that it is about, for the header log; default: none, zeros.
   */
  detect(error: BusError, header: TlpHeader = [0, 0, 0, 0]): ErrorOutcome {
    return error in CORRECTABLE_ERRORS
      ? this.#detectCorrectable(error as CorrectableError)
      : this.#detectUncorrectable(error as UncorrectableError, header);
  }

  #detectCorrectable(error: CorrectableError): ErrorOutcome {
    const { capability, express } = this;
    const { bit, field } = CORRECTABLE_ERRORS[error];
    express.set('DEVICE_STATUS.CORRECTABLE_ERROR', 1);
    capability.set('CORRECTABLE_STATUS', (capability.get('CORRECTABLE_STATUS') | (1 << bit)) >>> 0);
    if (isSet(capability.get('CORRECTABLE_MASK'), bit)) return { unsent: `AER.CORRECTABLE_MASK.${field} is 1` };
    const isEnabled = express.get('DEVICE_CONTROL.CORRECTABLE_REPORTING') === 1;
    return this.#send('ERR_COR', isEnabled ? undefined : 'PCIE.DEVICE_CONTROL.CORRECTABLE_REPORTING is 0');
  }

  #detectUncorrectable(error: UncorrectableError, header: TlpHeader): ErrorOutcome {
    const { capability, express } = this;
    const { bit, field } = UNCORRECTABLE_ERRORS[error];
    const isFatal = isSet(capability.get('UNCORRECTABLE_SEVERITY'), bit);
    const isUnsupported = error === 'unsupported-request';
    express.set(isFatal ? 'DEVICE_STATUS.FATAL_ERROR' : 'DEVICE_STATUS.NON_FATAL_ERROR', 1);
    if (isUnsupported) express.set('DEVICE_STATUS.UNSUPPORTED_REQUEST', 1);
    if (error === 'poisoned-tlp') this.header.set('STATUS.DETECTED_PARITY_ERROR', 1);
    const isMasked = isSet(capability.get('UNCORRECTABLE_MASK'), bit);
    if (!isMasked) this.#logFirst(bit, header);
    capability.set('UNCORRECTABLE_STATUS', (capability.get('UNCORRECTABLE_STATUS') | (1 << bit)) >>> 0);
    if (isMasked) return { unsent: `AER.UNCORRECTABLE_MASK.${field} is 1` };
    const serr = this.header.get('COMMAND.SERR_ENABLE') === 1;
    const needed = isFatal ? 'FATAL_REPORTING' : 'NON_FATAL_REPORTING';
    const missing = ([needed, ...(isUnsupported ? (['UNSUPPORTED_REQUEST_REPORTING'] as const) : [])] as const).find(
      (enable) => express.get(`DEVICE_CONTROL.${enable}`) === 0,
    );
    const why =
      serr || missing === undefined ? undefined : `PCIE.DEVICE_CONTROL.${missing} and COMMAND.SERR_ENABLE are 0`;
    const outcome = this.#send(isFatal ? 'ERR_FATAL' : 'ERR_NONFATAL', why);
    if (serr && 'sent' in outcome) this.header.set('STATUS.SIGNALED_SYSTEM_ERROR', 1);
    return outcome;
  }

  /** The log belongs to the first error until software has cleared its status (6.2.4.2). */
  #logFirst(bit: number, header: TlpHeader): void {
    const { capability } = this;
    const first = capability.get('CAPABILITIES_CONTROL.FIRST_ERROR');
    if (isSet(capability.get('UNCORRECTABLE_STATUS'), first)) return;
    capability.set('CAPABILITIES_CONTROL.FIRST_ERROR', bit);
    header.forEach((word, index) => capability.block('HEADER_LOG', index).set('WORD', word));
  }

  #send(message: ErrorMessage, why: string | undefined): ErrorOutcome {
    if (why !== undefined) return { unsent: why };
    if (!this.maySend()) return { unsent: 'the function is in D3hot' };
    this.onMessage(message);
    return { sent: message };
  }
}

const isSet = (bits: number, bit: number): boolean => ((bits >>> bit) & 1) === 1;
