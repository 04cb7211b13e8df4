/**
 * A vector beyond those that the card has: a card whose vectors the driver programs, and that was given a wrong number.
 * With MSI a card with fewer vectors than causes shares them, by the number modulo: only what MSI-X would not have, either,
 * is reported.
 */
import { Irq } from '../../../emulator/pci';
import { wordInterrupt } from '../../trace';
import { type Check } from '../check';

export const vectorBeyond: Check = {
  doc: 'The card raises a message of a vector that it does not have.',
  source: 'PCI Local Bus Spec 3.0, 6.8.2.3: Table Size; 6.8.1.3: Multiple Message Capable',
  make({ card, report }) {
    return {
      interrupt({ phase, index, vector }) {
        if (phase !== 'raised' || index === Irq.INTX) return;
        const { irqs } = card.layout;
        const count = Math.max(irqs[index]!.count, index === Irq.MSI ? irqs[Irq.MSIX]!.count : 0);
        if (vector < count) return;
        report(
          wordInterrupt(index, vector),
          () =>
            `the card raises ${wordInterrupt(index, vector)} and has ${count === 1 ? 'vector 0 only' : `vectors 0 to ${count - 1}`}: ` +
            `${wordInterrupt(index, vector % count)} is sent here, and nothing or anything on a board. Look for the ` +
            'register that holds the number of the vector',
          { interrupt: { index, vector } },
        );
      },
    };
  },
};
