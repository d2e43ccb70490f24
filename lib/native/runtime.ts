// What Node says of itself: the C library that it runs on, and the files that it is made of.

interface Report {
  readonly header?: { readonly glibcVersionRuntime?: string };
  readonly sharedObjects?: readonly string[];
}

/** Without the network: for each open socket a report asks who the peer is, by name, and waits for the answer. */
function report(): Report {
  const settings: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  const before = settings.excludeNetwork;
  settings.excludeNetwork = true;
  try {
    return settings.getReport() as Report;
  } finally {
    settings.excludeNetwork = before;
  }
}

/** Undefined on another C library, and on another system than Linux. */
export const glibcVersion = (): string | undefined => report().header?.glibcVersionRuntime;

/** Absolute paths of the libraries that are loaded, with the loader itself. */
export const loadedLibraries = (): string[] => (report().sharedObjects ?? []).filter((path) => path.startsWith('/'));
