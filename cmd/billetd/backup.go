package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"filippo.io/age"
	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/backup"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/issue"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/recovery"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func backups() *cobra.Command {
	common := &commonFlags{}
	var to string
	var recipients []string
	var clear, withKey bool
	cmd := &cobra.Command{
		Use: "backup", Args: cobra.NoArgs, Short: "Write an encrypted backup of the database",
		Long: `Writes a consistent backup of the built-in database, also while the server runs. It is encrypted
with age to one or more recipients, so it can be stored where others could read it. Create a recipient
with age-keygen, and keep its key file somewhere else than the backups.

Without the secret key, the restored server cannot decrypt what the database has encrypted, such as
the API keys of providers. Keep secret.key apart, or add it with --with-secret-key.

With PostgreSQL, use pg_dump or your provider's backups.`,
		Example: `  age-keygen -o backup-key.txt                        # prints the recipient, age1…
  billetd backup --output billet.backup --recipient age1…
  billetd backup --output - --recipient age1… | aws s3 cp - s3://backups/billet.backup`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (len(recipients) == 0) != clear {
				return errors.New("add either --recipient, or --unencrypted for a backup that anyone can read " +
					"who has the file")
			}
			if clear && withKey {
				return errors.New("--with-secret-key needs an encrypted backup")
			}
			keys, err := app.Recipients(recipients)
			if err != nil {
				return err
			}
			var m backup.Manifest
			write := func(w io.Writer) (err error) {
				m, err = app.Backup(cmd.Context(), common.cfg, w, withKey, keys...)
				return err
			}
			if to == "-" {
				signal.Ignore(syscall.SIGPIPE) // a broken pipe is an error, after which we clean up
				if term.IsTerminal(int(os.Stdout.Fd())) {
					return errors.New("a backup is not text; redirect the output, or name a file")
				}
				err = write(cmd.OutOrStdout())
			} else {
				err = newFile(to, write)
			}
			if err != nil {
				return err
			}
			if err := app.RecordBackup(common.cfg.DataDir, m.CreatedAt); err != nil {
				return fmt.Errorf("the backup is complete, but its time for the metrics was not recorded: %w", err)
			}
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "Backed up the database as of %s: %d bytes.\n%s\n",
				m.CreatedAt.Format(time.RFC3339), m.Bytes, aboutKey(m))
			return err
		},
	}
	common.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&to, "output", "", "`file` to create, or - for standard output")
	f.StringSliceVar(&recipients, "recipient", nil, "age `recipient`, or a file with recipients; repeatable")
	f.BoolVar(&clear, "unencrypted", false, "do not encrypt the backup")
	f.BoolVar(&withKey, "with-secret-key", false, "include secret.key")
	requireFlags(cmd, "output")
	return cmd
}

func aboutKey(m backup.Manifest) string {
	switch {
	case m.WithSecretKey:
		return "It includes the secret key " + m.SecretKey + "."
	case m.SecretKey == "":
		return "The database has no secret key."
	}
	return "It does not include the secret key " + m.SecretKey +
		", which a restored server needs: keep secret.key, too."
}

// newFile creates a file with what write writes: the whole of it or nothing. It replaces none.
func newFile(path string, write func(io.Writer) error) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; a backup replaces no file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // unlike a rename, it replaces nothing
		return err
	}
	return nil
}

func restore() *cobra.Command {
	common := &commonFlags{}
	var from, identity string
	cmd := &cobra.Command{
		Use: "restore", Args: cobra.NoArgs, Short: "Restore a backup into an empty data directory",
		Long: `Restores a backup of the built-in database into a data directory that has no database. Nothing is
in place before all of the backup was verified.

The database is then older than the world: machines were launched and ended since, and hours were
charged. So the server starts in recovery: it launches, ends and charges nothing, and tenants can
only read, until you have decided about each machine that the database does not know and run
billetd recovery end.

With PostgreSQL, use pg_restore, and then billetd recovery begin before you start the server.`,
		Example: `  billetd restore --input billet.backup --identity backup-key.txt
  billetd serve …
  billetd recovery status`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var keys []age.Identity
			if identity != "" {
				text, err := os.ReadFile(identity)
				if err != nil {
					return err
				}
				if keys, err = backup.ParseIdentities(string(text)); err != nil {
					return fmt.Errorf("%s: %w", identity, err)
				}
			}
			in := cmd.InOrStdin()
			if from != "-" {
				f, err := os.Open(from)
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }()
				in = f
			}
			done, err := app.Restore(cmd.Context(), common.cfg, in, keys...)
			if errors.Is(err, backup.ErrEncrypted) {
				return errors.New("the backup is encrypted: name the key file of its recipient with --identity")
			}
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "Restored the database as of %s.\n", done.CreatedAt.Format(time.RFC3339))
			if done.MissingKey {
				fmt.Fprintf(out, "Before you start the server, copy the secret.key that was beside the database "+
					"to %s.\n", common.cfg.DataDir)
			}
			_, err = fmt.Fprintln(out, "The server will start in recovery. See billetd recovery status.")
			return err
		},
	}
	common.flags(cmd)
	cmd.Flags().StringVar(&from, "input", "", "backup `file`, or - for standard input")
	cmd.Flags().StringVar(&identity, "identity", "", "key `file` of age, as age-keygen writes it")
	requireFlags(cmd, "input")
	return cmd
}

func recoveries() *cobra.Command {
	cmd := &cobra.Command{
		Use: "recovery", Short: "Check a restored database before it is used",
		Long: `A restored database is older than the world. While it is in recovery, the server compares it with
the providers and does nothing else: nothing is launched, ended or charged, no mail or webhook is
sent, and tenants can only read.`,
	}
	var at string
	begin := operatorCommand("begin", "Put a database that was restored into recovery", func(cmd *cobra.Command) {
		cmd.Long = `Puts a database into recovery, before the server is started. billetd restore does it by itself; this
command is for PostgreSQL. Stop all servers first.`
		cmd.Example = `  pg_restore --dbname "$BILLET_DATABASE_URL" billet.dump
  billetd recovery begin --backup-at 2026-11-30T04:00:00Z`
		cmd.Flags().StringVar(&at, "backup-at", "", "`time` of the backup, in RFC 3339, such as 2026-11-30T04:00:00Z")
		requireFlags(cmd, "backup-at")
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return fmt.Errorf("--backup-at must be a time such as 2026-11-30T04:00:00Z, not %q", at)
		}
		if when.After(o.Clock.Now()) {
			return fmt.Errorf("--backup-at is in the future: %s", at)
		}
		if err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := recovery.Begin(ctx, tx, when)
			return err
		}); err != nil {
			return err
		}
		return printRecovery(cmd, o, out)
	})
	status := operatorCommand("status", "Show the recovery, and what is left to decide", func(*cobra.Command) {},
		func(cmd *cobra.Command, o *app.Operator, out *output) error { return printRecovery(cmd, o, out) })
	var confirmed recovery.Confirmed
	end := operatorCommand("end", "End the recovery, so that the server goes on", func(cmd *cobra.Command) {
		cmd.Flags().BoolVar(&confirmed.OwnServers, "own-servers-unchanged", false,
			"confirm that no own server was rented out, returned or reinstalled since the backup")
		cmd.Flags().BoolVar(&confirmed.Missing, "all-missing", false,
			"confirm that all machines of a provider are gone, if it knows none of them")
		cmd.Long = `Has the server compare every provider with the database once more, and end the recovery:

- A deployment whose machine is gone is interrupted, and billed until the backup. One that had no
  machine yet fails; its hold is released. Pending reboots and reinstallations are given up.
- All others go on. The hours since the backup are charged. Deployments whose autoTerminateAt has
  passed are terminated.

For three days after that, no account is past due, no automatic top-up is made, and orphaned machines
are not terminated automatically: enter payments meanwhile that the database has lost.

Machines that have no deployment must be decided about first, see docs/backup.md.`
	}, func(cmd *cobra.Command, o *app.Operator, out *output) error {
		if err := o.DB.InTx(cmd.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := o.Recovery.RequestEnd(ctx, tx, confirmed)
			return err
		}); err != nil {
			return err
		}
		return printRecovery(cmd, o, out)
	})
	cmd.AddCommand(begin, status, end)
	return cmd
}

// recoveryStatus is what `billetd recovery status` prints.
type recoveryStatus struct {
	InRecovery bool               `json:"inRecovery"`
	Recovery   *recovery.Recovery `json:"recovery"`
	// Undecided are the machines and volumes that the database does not know.
	Undecided []issue.Issue `json:"undecided"`
}

func printRecovery(cmd *cobra.Command, o *app.Operator, out *output) error {
	v, on, err := recovery.Find(cmd.Context(), o.DB)
	if err != nil {
		return err
	}
	s := recoveryStatus{InRecovery: on, Undecided: []issue.Issue{}}
	if on {
		s.Recovery = &v
		for _, kind := range []issue.Kind{issue.OrphanedMachine, issue.OrphanedVolume} {
			some, _, err := o.Issues.List(cmd.Context(), o.DB, issue.Filter{State: issue.StateOpen, Kind: kind},
				db.Page{Number: 1, Limit: 100})
			if err != nil {
				return err
			}
			for _, i := range some {
				if i.EndingSince == nil {
					s.Undecided = append(s.Undecided, i)
				}
			}
		}
	}
	w := cmd.OutOrStdout()
	if out.format != "table" {
		return out.print(w, s, nil, nil)
	}
	switch {
	case !on:
		_, err = fmt.Fprintln(w, "The database is not in recovery.")
		return err
	case v.EndingSince != nil:
		fmt.Fprintln(w, "The server is ending the recovery: it asks every provider once more. "+
			"Repeat billetd recovery status.")
		failing, _, err := job.ListFailing(cmd.Context(), o.DB, recovery.Fleet, db.Page{Number: 1, Limit: 1})
		if err != nil {
			return err
		}
		for _, f := range failing {
			fmt.Fprintf(w, "It failed and is tried again: %s\n", f.LastError)
		}
	default:
		fmt.Fprintf(w, "The database is in recovery. It is as of %s.\n", v.BackupAt.Format(time.RFC3339))
	}
	if v.Problem != nil {
		fmt.Fprintf(w, "It could not be ended: %s\n", *v.Problem)
	}
	if len(s.Undecided) == 0 {
		_, err = fmt.Fprintln(w, "No machine or volume without a deployment or account was found so far. While the "+
			"server runs, it compares machines every minute and volumes every five minutes.")
		return err
	}
	fmt.Fprintln(w, "The database does not know these. Adopt, terminate or dismiss each (docs/backup.md):")
	return printIssues(cmd, out, s.Undecided, s.Undecided)
}
