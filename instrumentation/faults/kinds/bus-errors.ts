/** Errors of the bus that the card detects: Advanced Error Reporting. */
import { type Completion } from '../../../emulator/memory';
import { BUS_ERRORS, type BusError, type ErrorReporting, type TlpHeader } from '../../../emulator/pci';
import { type DmaCall } from '../dma-call';
import { type FaultSite } from '../fault';
import { kind, type Trigger } from '../kind';
import { FaultDeclarationError, oneOf, optional, required, tlpHeader } from '../parameters';
import { TriggeredFault } from './triggered';

export const BUS_ERROR_KINDS = {
  'bus-error': kind({
    triggers: ['read', 'write', 'dma', 'interrupt', 'reset'],
    parameters: {
      error: required(oneOf(...BUS_ERRORS), 'which: see [below](#which-errors-there-are)'),
      header: optional(tlpHeader, 'the packet that it is about, for the header log: four words; zeros by default'),
    },
    doc: 'The card detects an error of the bus: it logs it in its Advanced Error Reporting capability and in Device Status, and sends the message that its registers allow. The event itself is not changed: for a read of host memory that fails as well, declare `dma-failed` for the same event.',
    make: (site, given) => new DetectedError(site, given),
  }),
};

class DetectedError extends TriggeredFault<Trigger & { readonly error: BusError; readonly header?: TlpHeader }> {
  readonly #errors: ErrorReporting;

  constructor(site: FaultSite, given: Trigger & { readonly error: BusError; readonly header?: TlpHeader }) {
    super(site, given);
    const { errors } = site.card.inspection;
    if (errors === undefined) {
      throw new FaultDeclarationError(
        'the card has no Advanced Error Reporting capability (its identity says advancedErrorReporting: false)',
      );
    }
    this.#errors = errors;
  }

  protected override happen(): void {
    const { error, header } = this.given;
    const outcome = this.#errors.detect(error, header);
    this.fire(
      `the card detects ${error}: ${'sent' in outcome ? `it sends ${outcome.sent}` : `no message is sent, ${outcome.unsent}`}`,
    );
  }

  protected override happenAtDma(call: DmaCall): Completion {
    this.happen();
    return call.perform();
  }
}
