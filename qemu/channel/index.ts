/** The channel to the guest agent. */
export { GuestChannel, type ConnectOptions, type GuestIdentity, type TransferOptions } from './guest-channel';
export { type ExecOptions, type ExecResult, type GuestCommand, type OutputSink } from './command';
export { GuestRequestError } from './exchange';
export { type AgentHello, type TerminalSize } from './protocol';
