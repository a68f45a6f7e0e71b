package account

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// How many tries may fail within a window. What is nearest to one user is counted first, and what
// many people share is counted last, so that one of them cannot close sign-in for the others.
const (
	throttleWindow = 15 * time.Minute
	// triesPerDevice may fail on a device on which the user has signed in before, whatever happens elsewhere.
	triesPerDevice = 10
	// triesPerPair may fail from one address for one email address, on other devices.
	triesPerPair = 5
	// triesPerEmail may fail for one email address on other devices, wherever they are: it bounds
	// guessing from many addresses. NIST SP 800-63B asks for at most 100 in a row.
	triesPerEmail = 100
	// triesPerAddress may fail from one address for all email addresses together. An office or
	// everybody behind a proxy can be one address.
	triesPerAddress = 300
	// confirmsPerUser may fail for one signed-in user who confirms their password.
	confirmsPerUser = 5
	// codesPerUser may be wrong for one user: codes of authenticator apps, and user codes of device authorizations.
	codesPerUser = 10
)

// Source is where a sign-in comes from.
type Source struct {
	Address netip.Addr
	// Device is what SignedIn.Device gave the browser at an earlier sign-in; "" for none.
	Device string
}

// limit is a bound on the tries of one source.
type limit struct {
	source string
	most   int
}

// throttle counts tries in the database, so that replicas count together.
type throttle struct{ db *db.DB }

// network returns what counts as one address: IPv4 as it is, IPv6 by /64, the least that anybody is given.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := min(a.BitLen(), 64)
	p, _ := a.Prefix(bits) // fails for no address only: all of those count as one
	return p
}

// passwordLimits returns what a try of a password counts against, the nearest to the user first.
// email is as it was typed, whether or not a user has it, so that nothing tells the two apart.
func (s *Service) passwordLimits(from Source, email string) []limit {
	if device, of := s.device(from.Device); device != "" && of == email && email != "" {
		return []limit{{"device/" + device, triesPerDevice}}
	}
	at := network(from.Address).String()
	return []limit{{"pair/" + at + "/" + email, triesPerPair}, {"email/" + email, triesPerEmail}, {"address/" + at, triesPerAddress}}
}

// codeLimits count a six-digit code by user, whatever its address: such codes are few enough to be guessed from many
// addresses. Whoever gets here has given the right password, so no stranger can lock anybody out, and a recovery
// code or a passkey still works.
func codeLimits(user id.ID) []limit { return []limit{{"code/" + string(user), codesPerUser}} }

// guessLimits count the user codes of device authorizations by the user who types them.
func guessLimits(user id.ID) []limit { return []limit{{"user-code/" + string(user), codesPerUser}} }

func confirmLimits(user id.ID) []limit {
	return []limit{{"confirm/" + string(user), confirmsPerUser}}
}

func invitationLimits(from netip.Addr) []limit {
	return []limit{{"invitation/" + network(from).String(), triesPerAddress}}
}

// errFull rolls back a try that is one too many.
var errFull = errors.New("account: too many tries")

// take counts a try before it is made, so that no number of parallel tries exceeds the limits,
// whichever replicas they reach. It returns 0, or how long to wait, having counted nothing.
func (t throttle) take(ctx context.Context, limits []limit) (time.Duration, error) {
	var wait time.Duration
	err := t.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		wait = 0
		for _, l := range inOrder(limits) {
			counted, until, err := countTry(ctx, tx, hashOf(l.source), l.most, throttleWindow)
			if err != nil {
				return err
			}
			if !counted {
				wait = max(until.Sub(tx.Now), time.Second)
				return errFull
			}
		}
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return wait, err
}

// giveBack takes back a try that did not fail, or that was not made. The caller's context may have ended.
func (t throttle) giveBack(ctx context.Context, limits []limit) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	return t.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, l := range inOrder(limits) {
			if err := uncountTry(ctx, tx, hashOf(l.source)); err != nil {
				return err
			}
		}
		return nil
	})
}

// giveBackTime is how long giveBack may take.
const giveBackTime = 5 * time.Second

// succeeded takes back, at the end of the transaction, what a try that succeeded has counted: all
// tries of the nearest source, and its own try of the others, where other people's failures count, too.
func succeeded(tx *db.Tx, limits []limit) {
	tx.BeforeCommit(func(ctx context.Context) error {
		for _, l := range inOrder(limits) {
			back := uncountTry
			if l == limits[0] {
				back = forgetTries
			}
			if err := back(ctx, tx, hashOf(l.source)); err != nil {
				return err
			}
		}
		return nil
	})
}

// inOrder returns the limits in the one order in which their rows are locked.
func inOrder(limits []limit) []limit {
	return slices.SortedFunc(slices.Values(limits), func(a, b limit) int { return cmp.Compare(hashOf(a.source), hashOf(b.source)) })
}

// CountGuess counts an attempt of a user to enter a user code, before it is made. It returns RATE_LIMIT_EXCEEDED after
// ten wrong codes within 15 minutes. The caller then calls done with whether the code was wrong. It must not be called
// inside a transaction.
func (s *Service) CountGuess(ctx context.Context, user id.ID) (done func(wrong bool) error, err error) {
	limits := guessLimits(user)
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany("Too many wrong codes. Wait %s, then start again in the program.", wait)
	}
	if err != nil {
		return nil, err
	}
	return func(wrong bool) error {
		if wrong {
			return nil
		}
		return s.throttle.giveBack(ctx, limits)
	}, nil
}
