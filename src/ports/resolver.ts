/** DNS look-ups. Adapters: node/resolver.ts; tests pass a table. Throws PromhiveError DISCOVERY with the name where the servers do not answer or answer with an error. */
export interface Resolver {
  /** The records of a name; [] where it does not exist or has none of this type. Search domains are tried as the system's resolver does. */
  resolve<T extends RecordType>(name: string, type: T): Promise<readonly RecordOf[T][]>
}
export type RecordType = keyof RecordOf
/** Targets end in a dot, as they do on the wire. */
export type RecordOf = {
  A: Readonly<{ address: string }>
  AAAA: Readonly<{ address: string }>
  SRV: Readonly<{ target: string; port: number }>
  MX: Readonly<{ target: string }>
  NS: Readonly<{ target: string }>
}
