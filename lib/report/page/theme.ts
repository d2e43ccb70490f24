// Light, dark, or what the system says.
import { button, type IconName, say } from './dom.ts';

type Theme = 'system' | 'light' | 'dark';

const order: readonly Theme[] = ['system', 'light', 'dark'];
const icons: Record<Theme, IconName> = { system: 'system', light: 'light', dark: 'dark' };
const names: Record<Theme, string> = { system: 'as the system', light: 'light', dark: 'dark' };
const KEY = 'holdfast-report-theme';

// A page from a file may have no storage.
function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return order.find((theme) => theme === value) ?? 'system';
  } catch {
    return 'system';
  }
}

function store(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // Then it is for this time only.
  }
}

let theme = stored();

function apply(): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event('holdfast-theme'));
}

/** Puts the theme on, and gives the switch. */
export function themeSwitch(): { element: HTMLElement; next: () => void } {
  let element: HTMLElement;
  const make = () =>
    button('', next, {
      icon: icons[theme],
      label: `Theme: ${names[theme]}`,
      kind: 'quiet',
    });
  const next = () => {
    theme = order[(order.indexOf(theme) + 1) % order.length] ?? 'system';
    store(theme);
    const focused = document.activeElement === element;
    const other = make();
    element.replaceWith(other);
    element = other;
    if (focused) element.focus();
    apply();
    say(`Theme: ${names[theme]}`);
  };
  element = make();
  apply();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
  return {
    get element() {
      return element;
    },
    next,
  };
}
