// C0, DEL and C1, line and paragraph separators, and what changes the direction of text: none of it may reach a terminal.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** As it can be printed. */
export function visible(text: string): string {
  return text.replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
