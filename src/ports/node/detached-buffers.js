/**
 * To be called first in every thread. V8 compiles code for typed arrays on the assumption that no buffer of the thread was ever detached, which is what handing
 * one over to another thread does; with the first it throws away all such code. Half a second after a start that is nearly everything that is hot.
 */
export function detachFirstBuffer() {
  new ArrayBuffer(1).transfer()
}
