package deployment

import (
	"context"
	"slices"
	"strings"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/volume"
)

// Reboot has the machine rebooted in the background. It answers NOT_FOUND, UNSUPPORTED_BY_PROVIDER, or CONFLICT
// where the deployment does not run or another action is pending; the same action twice is one.
func (s *Service) Reboot(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionReboot, "", StatusRunning, func(a provider.Capabilities) bool { return a.Reboot })
}

// PowerOff has the machine switched off in the background; it is kept, and paid for. Errors as for Reboot.
func (s *Service) PowerOff(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionPowerOff, "", StatusRunning, func(a provider.Capabilities) bool { return a.Power })
}

// PowerOn has a stopped machine switched on in the background. Errors as for Reboot.
func (s *Service) PowerOn(ctx context.Context, tx *db.Tx, account, deployment id.ID) (Deployment, error) {
	return s.act(ctx, tx, account, deployment, ActionPowerOn, "", StatusStopped, func(a provider.Capabilities) bool { return a.Power })
}

// Reinstall has the machine wiped and installed anew in the background, with its keys. With an operating system other
// than its own, which the offer must still have, it changes to that. Errors as for Reboot, and INVALID_REQUEST.
func (s *Service) Reinstall(ctx context.Context, tx *db.Tx, account, deployment id.ID, operatingSystem *string) (Deployment, error) {
	x, err := s.get(ctx, tx, account, deployment)
	if err != nil {
		return Deployment{}, err
	}
	choice := x.OperatingSystem
	if operatingSystem != nil && !strings.EqualFold(*operatingSystem, choice) {
		has := []string{choice}
		if o, found := s.c.Catalog.For(account).Get(x.OfferID); found {
			has = o.OperatingSystems
		}
		i := slices.IndexFunc(has, func(h string) bool { return strings.EqualFold(h, *operatingSystem) })
		if i < 0 {
			f := &faults{}
			f.add("operatingSystem", "is %q, which this deployment's offer does not have; choose one of: %s.", *operatingSystem, strings.Join(has, ", "))
			return Deployment{}, f.err()
		}
		choice = has[i]
	}
	return s.act(ctx, tx, account, deployment, ActionReinstall, choice, StatusRunning, func(a provider.Capabilities) bool { return a.Reinstall })
}

// act writes down what the provider is to be asked for; reconcile asks.
func (s *Service) act(ctx context.Context, tx *db.Tx, account, deployment id.ID, a Action, argument string, from Status, able func(provider.Capabilities) bool) (Deployment, error) {
	x, err := s.get(ctx, tx, account, deployment)
	switch {
	case err != nil:
		return Deployment{}, err
	case !able(x.Capabilities):
		return Deployment{}, apierr.New(apierr.Unsupported, "%s cannot %s machines of this offer; its capabilities are listed with the offer.", x.Provider, strings.ReplaceAll(string(a), "-", " "))
	case x.action == a && x.actionArgument == argument:
		return s.completed(ctx, tx, x)
	case x.action != "":
		return Deployment{}, apierr.New(apierr.Conflict, "A %s is still under way; wait until pendingAction is null.", x.action)
	case x.Status != from:
		return Deployment{}, apierr.New(apierr.Conflict, "The deployment is %s; %s needs one that is %s.", x.Status, a, from)
	}
	x.action, x.actionArgument = a, argument
	if err := setAction(ctx, tx, x); err != nil {
		return Deployment{}, err
	}
	if err := s.tell(ctx, tx, x, "action_requested", map[string]any{"action": a}); err != nil {
		return Deployment{}, err
	}
	x.finish()
	d, err := s.completed(ctx, tx, x)
	if err != nil {
		return Deployment{}, err
	}
	return d, s.c.Jobs.Enqueue(ctx, tx, x.Account, KindReconcile, x.ID, tx.Now)
}

// AttachVolume has a volume attached to the deployment in the background. It answers NOT_FOUND for either,
// UNSUPPORTED_BY_PROVIDER, or CONFLICT where the deployment has ended or the volume is not available.
func (s *Service) AttachVolume(ctx context.Context, tx *db.Tx, account, volumeID, deployment id.ID) (volume.Volume, error) {
	x, err := s.get(ctx, tx, account, deployment)
	switch {
	case err != nil:
		return volume.Volume{}, err
	case !x.Capabilities.Volumes:
		return volume.Volume{}, apierr.New(apierr.Unsupported, "%s cannot attach volumes to machines of this offer.", x.Provider)
	case x.Status.Final() || x.Status == StatusTerminating:
		return volume.Volume{}, apierr.New(apierr.Conflict, "The deployment is %s; a volume can be attached only to one that has not ended.", x.Status)
	}
	return s.c.Volumes.Attach(ctx, tx, account, volumeID, volume.Target{Deployment: x.ID, Provider: x.Provider, Region: x.Region})
}

// DetachVolume has a volume detached in the background from the deployment that has it. A given deployment must be
// that one, else it answers CONFLICT.
func (s *Service) DetachVolume(ctx context.Context, tx *db.Tx, account, volumeID id.ID, deployment *id.ID) (volume.Volume, error) {
	if deployment != nil {
		if _, err := s.get(ctx, tx, account, *deployment); err != nil {
			return volume.Volume{}, err
		}
		v, err := s.c.Volumes.Get(ctx, tx, account, volumeID)
		if err != nil {
			return volume.Volume{}, err
		}
		if v.AttachedTo != nil && *v.AttachedTo != *deployment {
			return volume.Volume{}, apierr.New(apierr.Conflict, "The volume is attached to %s, not to %s.", *v.AttachedTo, *deployment)
		}
	}
	return s.c.Volumes.Detach(ctx, tx, account, volumeID)
}
