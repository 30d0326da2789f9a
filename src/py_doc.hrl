%% Documentation attributes are known from OTP 27 on; before, they would be errors. A function has its text, then the version
%% that it came with.
-if(?OTP_RELEASE >= 27).
-define(MODULEDOC(Text), -moduledoc(Text)).
-define(MODULESINCE(Version), -moduledoc(#{since => <<Version>>})).
-define(DOC(Text), -doc(Text)).
-define(SINCE(Version), -doc(#{since => <<Version>>})).
-else.
-define(MODULEDOC(Text), -compile([])).
-define(MODULESINCE(Version), -compile([])).
-define(DOC(Text), -compile([])).
-define(SINCE(Version), -compile([])).
-endif.
