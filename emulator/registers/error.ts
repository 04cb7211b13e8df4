/** A register map that cannot be: thrown while it is built, with the names of all parties in the message. */
export class RegisterMapError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RegisterMapError';
  }
}
