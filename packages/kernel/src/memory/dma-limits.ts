/**
 * What a DMA mask of so many bits can reach.
 * Kernel counterpart: include/linux/dma-mapping.h (DMA_BIT_MASK), include/linux/dma-direct.h (dma_capable).
 */

/** By number of bits (0 to 64): the first address that is out of reach. */
const FIRST_OUT_OF_REACH: readonly number[] = powersOfTwo(65);

function powersOfTwo(count: number): number[] {
  const powers: number[] = [];
  for (let power = 1; powers.length < count; power *= 2) powers.push(power);
  return powers;
}

/** Whether a mask of `maskBits` (0 to 64) reaches the last of `lengthBytes` at `busAddr`. @kernel include/linux/dma-direct.h dma_capable */
export function dmaCapable(maskBits: number, busAddr: number, lengthBytes: number): boolean {
  return busAddr + lengthBytes <= (FIRST_OUT_OF_REACH[maskBits] as number);
}

/** Whether `maskBits` is a mask at all: a whole number from 1 to 64. */
export function isDmaMask(maskBits: number): boolean {
  return maskBits >= 1 && FIRST_OUT_OF_REACH[maskBits] !== undefined;
}
