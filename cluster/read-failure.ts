// LogReadFailure as something that can be thrown: every Log adapter throws it from `read`, every reader gets the failure back with `readFailureOf`.
import { PromhiveError, type ErrorCode } from '../src/base/errors.ts'
import type { LogReadFailure } from './ports.ts'

const codes: Readonly<Record<LogReadFailure['kind'], ErrorCode>> = {
  truncated: 'NOT_FOUND',
  regressed: 'UNAVAILABLE',
  corrupt: 'STORAGE_CORRUPT',
}

/** @param from the offset that was asked for. */
export function readFailed(shard: number, from: number, failure: LogReadFailure): PromhiveError {
  return new PromhiveError(codes[failure.kind], `cannot read the log of shard ${shard} from offset ${from}: ${reason(failure)}`, {
    shard,
    from,
    failure,
  })
}

/** Null where what was thrown is something else. */
export function readFailureOf(thrown: unknown): LogReadFailure | null {
  if (!(thrown instanceof PromhiveError)) return null
  return (thrown.detail['failure'] as LogReadFailure | undefined) ?? null
}

function reason(failure: LogReadFailure): string {
  switch (failure.kind) {
    case 'truncated':
      return `the log starts at ${failure.first}`
    case 'regressed':
      return `the log ends at ${failure.last}`
    case 'corrupt':
      return `record ${failure.offset} is damaged: ${failure.why}`
  }
}
