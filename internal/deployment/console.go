package deployment

import (
	"context"
	"errors"
	"io"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// HasConsole returns nil while the account may use the serial console of the deployment's machine:
// from when its operating system is installed, whether SSH answers or not, until it ends. Else it
// returns NOT_FOUND, UNSUPPORTED_BY_PROVIDER or CONFLICT.
func (s *Service) HasConsole(ctx context.Context, r db.Reader, account, deployment id.ID) error {
	p, err := s.consoler(ctx, r, account, deployment)
	if err != nil {
		return err
	}
	return consoleError(p.HasConsole(ctx, deployment))
}

// OpenConsole connects to the serial console. Errors are those of HasConsole, and a
// *provider.Error if the console does not answer. The deployment may end at any time: the
// caller asks HasConsole again and again.
func (s *Service) OpenConsole(
	ctx context.Context, r db.Reader, account, deployment id.ID,
) (io.ReadWriteCloser, error) {
	p, err := s.consoler(ctx, r, account, deployment)
	if err != nil {
		return nil, err
	}
	c, err := p.OpenConsole(ctx, deployment)
	return c, consoleError(err)
}

func (s *Service) consoler(ctx context.Context, r db.Reader, account, deployment id.ID) (provider.Consoler, error) {
	d, err := s.Get(ctx, r, account, deployment)
	if err != nil {
		return nil, err
	}
	if !d.Capabilities.Console {
		return nil, apierr.New(apierr.Unsupported,
			"This deployment has no serial console. See the offer's capabilities.")
	}
	switch d.Status {
	case StatusDeploying, StatusRunning, StatusStopped:
	default:
		return nil, apierr.New(apierr.Conflict,
			"The deployment is %s. Its serial console is available until it ends.", d.Status)
	}
	p, configured := s.cfg.Providers.Get(d.Provider)
	c, can := p.(provider.Consoler)
	if !configured || !can {
		return nil, apierr.New(apierr.Unsupported, "%s has no serial consoles now.", d.Provider)
	}
	return c, nil
}

// consoleError returns the error of a provider as the tenant sees it.
func consoleError(err error) error {
	e, is := errors.AsType[*provider.Error](err)
	if !is {
		return err
	}
	switch e.Kind {
	case provider.KindNotFound:
		return apierr.New(apierr.Conflict, "The deployment has no machine now.")
	case provider.KindUnsupported:
		return apierr.New(apierr.Unsupported, "%s", e.Message)
	case provider.KindRejected:
		return apierr.New(apierr.Conflict, "%s", e.Message)
	}
	return err
}
