/** The index of the first of `segments`, by base offset, that begins after `offset`. */
export function indexAfter(
  segments: readonly { readonly baseOffset: number }[],
  offset: number,
): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((segments[middle]?.baseOffset ?? Infinity) <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
