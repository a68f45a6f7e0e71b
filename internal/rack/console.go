package rack

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/billetcloud/billet/internal/bmc"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Errors of a console.
var (
	ErrNoConsole   = errors.New("rack: the machine has no console")
	ErrConsoleBusy = errors.New("rack: an operating system is being installed on the machine")
)

// consolePurpose is what the password of a machine's console is sealed for.
func consolePurpose(machine id.ID) string { return "rack/console/" + string(machine) }

// sealConsole returns the sealed password of the machine's console: the one that the fields give,
// or the one that it has.
func (s *Service) sealConsole(m Machine, f MachineFields, wrong *faults) string {
	switch {
	case f.ConsolePassword != nil && (*f.ConsolePassword != "" || m.Console != bmc.ConsoleOff):
		wrong.checkPassword("consolePassword", *f.ConsolePassword)
		return s.cfg.Secrets.Seal(consolePurpose(m.ID), []byte(*f.ConsolePassword))
	case f.ConsolePassword != nil:
		return ""
	case m.Console != bmc.ConsoleOff && m.consoleSealed == "":
		wrong.checkPassword("consolePassword", "")
	}
	return m.consoleSealed
}

// HasConsole returns nil while the console of a deployment's machine is its own. Else it returns
// ErrNone, also once the deployment has returned the machine, ErrNoConsole, or ErrConsoleBusy: the
// agent's parameters may be on the console while it installs.
func (s *Service) HasConsole(ctx context.Context, r db.Reader, deployment id.ID) error {
	_, err := s.consoleOf(ctx, r, deployment)
	return err
}

func (s *Service) consoleOf(ctx context.Context, r db.Reader, deployment id.ID) (Machine, error) {
	m, found, err := byDeployment(ctx, r, deployment)
	switch {
	case err != nil:
		return m, err
	case !found || !m.State.Tenanted():
		return m, ErrNone
	case m.Console == bmc.ConsoleOff:
		return m, ErrNoConsole
	case m.tenancy != Running && m.tenancy != SwitchedOff && m.tenancy != Rescuing:
		return m, ErrConsoleBusy
	}
	return m, nil
}

// OpenConsole connects to the console of a deployment's machine. Errors are those of HasConsole and
// of the BMC. The caller asks HasConsole again and again, and closes it when that fails.
func (s *Service) OpenConsole(ctx context.Context, deployment id.ID) (*bmc.Console, error) {
	m, err := s.consoleOf(ctx, s.cfg.DB, deployment)
	if err != nil {
		return nil, err
	}
	password, err := s.cfg.Secrets.Open(consolePurpose(m.ID), m.consoleSealed)
	if err != nil {
		return nil, fmt.Errorf("the password of the console of %s cannot be decrypted; set it again: %w", m.Name, err)
	}
	at, err := url.Parse(m.BMCURL)
	if err != nil {
		return nil, err
	}
	return bmc.OpenConsole(ctx, bmc.ConsoleAddress{
		Kind: m.Console, Host: at.Hostname(), Port: int(m.ConsolePort), User: m.ConsoleUser,
		Password: string(password), HostKey: m.ConsoleHostKey,
	})
}
