-- Where the published results are measured again, in the order of the reports' columns.
DELETE FROM published_backend;
INSERT INTO published_backend (nr, backend, label, purgeable)
VALUES (1, 'linux', 'Linux', 1), (2, 'gnumach', 'GNU Mach', 0);
