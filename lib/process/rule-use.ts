// Which rules of a policy matched no call: told when nothing of the tree is left.
import type { NativeRecord } from '../native/native.ts';
import { number, texts } from '../native/records.ts';
import { accessBits, operationBits, type Rules } from '../policy/policy.ts';

/** What {@link SandboxedProcess.unusedRules} resolves to. */
export interface UnusedRules {
  /** Fields of the policy whose rules matched no call: `files.read[2]`, `extends[0].files.deny[1]` of what it starts from. */
  readonly unused: readonly string[];
  /** Those of which that cannot be said, and why: the kernel decides on such calls, and does not tell by which rule. */
  readonly unknown: readonly { readonly rule: string; readonly reason: string }[];
}

/** Bits of rights, as native/protocol/fields.def has them. */
const CONNECT = 16;
const BIND = 32;
const rights: readonly (readonly [bit: number, name: string])[] = [
  ...Object.entries(accessBits).map(([name, bit]) => [bit, name] as const),
  [CONNECT, 'connect'],
  [BIND, 'bind'],
];

/** Neither of a policy with a name nor what holdfast adds, which are nobody's to tidy up. */
const isOwn = ({ label, named }: { label: string; named?: true }): boolean =>
  named !== true && /^(?:extends(?:\[\d+\])?\.)*(?:files|network|exec|syscalls)\b/.test(label);

export class RuleUse {
  readonly #matched = new Set<string>();
  #unknown = 0;
  #complete = false;

  told(record: NativeRecord): void {
    for (const rule of texts(record, 'matchedRules')) this.#matched.add(rule);
    this.#unknown |= number(record, 'unknownRights');
    if (number(record, 'more') === 0) this.#complete = true;
  }

  /** Undefined if the supervisor was lost before it could say so. */
  unusedOf(rules: Rules): UnusedRules | undefined {
    if (!this.#complete) return undefined;
    // A socket that no rule on sockets speaks of is judged as a file that is written to.
    const sockets = (this.#unknown & (CONNECT | BIND)) === 0 ? 0 : accessBits.write;
    const wanted = new Map<string, number>();
    const want = (label: string, bits: number) => wanted.set(label, (wanted.get(label) ?? 0) | bits);
    for (const { label, access } of rules.files.filter(isOwn)) want(label, access);
    for (const { label, operations } of rules.network.filter(isOwn))
      want(
        label,
        ((operations & operationBits.connect) === 0 ? 0 : CONNECT) |
          ((operations & operationBits.bind) === 0 ? 0 : BIND),
      );
    for (const { label, access } of rules.exec.filter(isOwn)) want(label, access);
    const calls = new Set(rules.calls.filter(isOwn).map(({ label }) => label));
    for (const label of calls) want(label, 0);
    const unused: string[] = [];
    const unknown: { rule: string; reason: string }[] = [];
    for (const [rule, bits] of wanted) {
      if (this.#matched.has(rule)) continue;
      const byKernel = bits & (this.#unknown | sockets);
      if (calls.has(rule)) unknown.push({ rule, reason: 'the kernel decides on system calls by their numbers' });
      else if (byKernel === 0) unused.push(rule);
      else {
        const names = rights.filter(([bit]) => (bit & byKernel) !== 0).map(([, name]) => name);
        unknown.push({ rule, reason: `the kernel decides on ${names.join(', ')}` });
      }
    }
    return Object.freeze({ unused: Object.freeze(unused), unknown: Object.freeze(unknown) });
  }
}
