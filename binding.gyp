{
  'variables': {
    # A folder with an older glibc to build the addon against, Debian's name for the machine, and where the compiler has
    # headers of its own: native/build.mjs.
    'holdfast_sysroot%': '',
    'holdfast_triple%': '',
    'holdfast_compiler_include%': '',
  },
  'target_defaults': {
    'cflags!': ['-Wno-unused-parameter'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['-std=c++20', '-Wall', '-Wextra', '-Werror', '-Wswitch', '-fstack-protector-strong', '-fno-exceptions', '-fno-rtti'],
    'configurations': {
      'Release': {'cflags!': ['-O3'], 'cflags': ['-O2']},
    },
  },
  'targets': [
    {
      'target_name': 'holdfast',
      'sources': ['<!@(ls native/addon/*.cc native/paths/*.cc)'],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', '_GNU_SOURCE'],
      'cflags_cc': ['-fvisibility=hidden', '-ffunction-sections', '-fdata-sections'],
      # glibc is the only library it needs, and an old one will do: docs/internals.md, test/packaging.
      # It stays when the worker that has loaded it ends: children that the worker leaves are remembered in it (addon/child).
      'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,--gc-sections,--exclude-libs,ALL,-z,nodelete'],
      'conditions': [
        ['holdfast_sysroot!=""', {
          'variables': {
            'gcc': '<(holdfast_sysroot)/usr/lib/gcc/<(holdfast_triple)/10',
            'lib': '<(holdfast_sysroot)/usr/lib/<(holdfast_triple)',
            'include': '<(holdfast_sysroot)/usr/include',
          },
          # Named one by one: Debian's cross compiler looks into its own folders first.
          'cflags_cc': [
            '--sysroot=<(holdfast_sysroot)', '-nostdinc', '-isystem <(include)/c++/10', '-isystem <(include)/<(holdfast_triple)/c++/10',
            '-isystem <(holdfast_compiler_include)', '-isystem <(include)/<(holdfast_triple)', '-isystem <(include)',
            '-Wno-maybe-uninitialized', # in that library's own std::function, says a newer compiler
          ],
          'ldflags': ['--sysroot=<(holdfast_sysroot)', '-B<(gcc)', '-B<(lib)', '-L<(gcc)', '-L<(lib)'],
        }],
      ],
    },
    {
      'target_name': 'holdfast-supervisor',
      'type': 'executable',
      'sources': [
        '<!@(ls native/*/*.cc | grep -v -e ^native/addon/ -e ^native/arch/ -e ^native/paths/)',
        'native/paths/canonical.cc',
        'native/paths/mounts.cc',
        'native/paths/plain.cc',
      ],
      'conditions': [
        ['target_arch=="x64"', {'sources': ['native/arch/x86_64.cc']}],
        ['target_arch=="arm64"', {'sources': ['native/arch/aarch64.cc']}],
      ],
      'defines': ['_GNU_SOURCE'],
      'cflags': ['-pthread', '-fPIE', '-ffunction-sections', '-fdata-sections'],
      'ldflags!': ['-rdynamic'],
      'ldflags': ['-static-pie', '-pthread', '-Wl,-z,relro,-z,now,-z,noexecstack,-z,pack-relative-relocs,--gc-sections'],
    },
  ],
}
