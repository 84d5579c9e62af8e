/** Told in the middle of long work how far it has come; asks for the words only where they are printed. */
export type Progress = (tell: () => string) => void

export const noProgress: Progress = () => {}

/** Prints at most one line per `everyMs`; the first when that long has passed. */
export function progressEvery(everyMs: number, nowMs: () => number, print: (line: string) => void): Progress {
  let nextMs = nowMs() + everyMs
  return (tell) => {
    const now = nowMs()
    if (now < nextMs) return
    nextMs = now + everyMs
    print(tell())
  }
}
