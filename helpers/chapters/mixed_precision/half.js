// Shared by the widgets of this chapter: numbers in 16 bits.

// Bits of the significand, and the smallest and largest exponent of a normal number.
export const TYPES = { float16: [11, -14, 15], bfloat16: [8, -126, 127] };
export const BANDS = ["zero", "subnormal", "normal", "inf"];

// 2 to a whole power, as the text writes it: 2⁻²⁴.
export function powerOfTwo(exponent) {
  return "2" + String(exponent).replace(/./g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
}

// The exponent of two that a positive number begins with; logarithms alone can be off by one.
function exponentOf(size) {
  const guess = Math.floor(Math.log2(size));
  return 2 ** guess > size ? guess - 1 : 2 ** (guess + 1) <= size ? guess + 1 : guess;
}

const single = new Float32Array(1);
const bitsOf = new Uint32Array(single.buffer);

// tensor.to(type) of a float32: the nearest number, of two the one that ends in 0. Adding
// 1.5 · 2^52 steps leaves no room for less than a step, and float64 rounds in the same way.
export function round(value, type) {
  const [bits, least, most] = TYPES[type];
  single[0] = value;
  const exponent = ((bitsOf[0] >>> 23) & 255) - 127;
  if (exponent === 128) return single[0]; // inf or nan
  const large = 1.5 * 2 ** (52 + Math.max(exponent, least) - bits + 1);
  const rounded = single[0] + large - large;
  return Math.abs(rounded) < 2 ** (most + 1) ? rounded : rounded > 0 ? Infinity : -Infinity;
}
