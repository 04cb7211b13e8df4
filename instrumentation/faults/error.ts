/** A fault that is declared wrong, or that the card cannot have: told before anything is started. */
export class FaultDeclarationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FaultDeclarationError';
  }
}
