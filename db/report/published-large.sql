-- The published large transfers beside what was measured. Sizes as published, in bytes.
SELECT scenario, case_name, observed, replace(quantity, '_bytes', '') AS quantity, unit,
       iif(unit = 'bytes' AND published IS NOT NULL, printf('%.1f MiB', published / 1048576.0),
           published)
           AS published,
       backend,
       iif(unit = 'bytes' AND measured IS NOT NULL, printf('%.1f MiB', measured / 1048576.0),
           measured)
           AS measured_text,
       verdict || iif(same IS NOT NULL AND compare = 'about', printf(', to %d MiB', tolerance / 1048576),
                      '') AS verdict, reason
FROM published
WHERE scenario IN ('ool-large', 'ool-two-large')
ORDER BY nr, backend;
