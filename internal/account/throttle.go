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

// The most attempts that may fail within a window. Limits of one user are checked first, and limits
// that many users share are checked last, so that one user cannot block the sign-in of the others.
const (
	throttleWindow = 15 * time.Minute
	// triesPerBrowser is for a browser in which the user has signed in before, whatever happens
	// elsewhere.
	triesPerBrowser = 10
	// triesPerPair is for one address and one email address, in other browsers.
	triesPerPair = 5
	// triesPerEmail is for one email address in other browsers, from any address: it limits
	// guessing from many addresses. NIST SP 800-63B asks for at most 100 in a row.
	triesPerEmail = 100
	// triesPerAddress is for one address and all email addresses together. All users of an office
	// or a proxy may share one address.
	triesPerAddress = 300
	// triesPerNetwork is for codes of the setup page, from one address.
	triesPerNetwork = 10
	// confirmsPerUser is for a signed-in user who confirms their password.
	confirmsPerUser = 5
	// codesPerUser is for the codes of a user's authenticator app, and for user codes of device
	// authorizations.
	codesPerUser = 10
)

// Source is the source of a sign-in.
type Source struct {
	Address netip.Addr
	// Browser is the SignedIn.Browser of an earlier sign-in; "" for none.
	Browser string
}

// limit is the most failed attempts of one source.
type limit struct {
	source string
	most   int
}

// throttle counts attempts in the database, so that replicas count together.
type throttle struct{ db *db.DB }

// network returns what counts as one address: an IPv4 address, or an IPv6 /64, the smallest network
// that a customer gets.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := min(a.BitLen(), 64)
	p, _ := a.Prefix(bits) // fails only without an address; all of those count as one
	return p
}

// passwordLimits returns the limits for an attempt of a password, the user's own first. The email
// address counts whether or not a user has it, so that a caller cannot distinguish the two.
func (s *Service) passwordLimits(from Source, email string) []limit {
	if browser, of := s.browser(from.Browser); browser != "" && of == email && email != "" {
		return []limit{{"browser/" + browser, triesPerBrowser}}
	}
	at := network(from.Address).String()
	return []limit{{"pair/" + at + "/" + email, triesPerPair}, {"email/" + email, triesPerEmail},
		{"address/" + at, triesPerAddress}}
}

// codeLimits count six-digit codes by user, from any address: they are few enough to be guessed
// from many addresses. Only a caller with the right password gets this far, so strangers cannot
// lock a user out, and a recovery code or a passkey still works.
func codeLimits(user id.ID) []limit { return []limit{{"code/" + string(user), codesPerUser}} }

// guessLimits count the user codes of device authorizations by the user who types them.
func guessLimits(user id.ID) []limit { return []limit{{"user-code/" + string(user), codesPerUser}} }

func confirmLimits(user id.ID) []limit {
	return []limit{{"confirm/" + string(user), confirmsPerUser}}
}

func invitationLimits(from netip.Addr) []limit {
	return []limit{{"invitation/" + network(from).String(), triesPerAddress}}
}

func setupLimits(from netip.Addr) []limit {
	return []limit{{"setup/" + network(from).String(), triesPerNetwork}}
}

// errFull rolls back an attempt that is one too many.
var errFull = errors.New("account: too many attempts")

// take counts an attempt before it is made, so that concurrent attempts at any replicas do not
// exceed the limits. It returns 0, or the time to wait if it did not count the attempt.
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

// giveBack uncounts an attempt that did not fail or was not made. The caller's context may have
// ended.
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

// giveBackTime is the time limit of giveBack.
const giveBackTime = 5 * time.Second

// succeeded uncounts a successful attempt at the end of the transaction: all attempts of the first
// limit, which is the user's own, and this attempt of the others, where failures of other users
// count, too.
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

// inOrder returns the limits in the order in which their rows are locked.
func inOrder(limits []limit) []limit {
	byHash := func(a, b limit) int { return cmp.Compare(hashOf(a.source), hashOf(b.source)) }
	return slices.SortedFunc(slices.Values(limits), byHash)
}

// CountGuess counts an attempt of a user to enter a user code, before it is made. It returns
// RATE_LIMIT_EXCEEDED after ten wrong codes within 15 minutes. The caller then calls done with
// whether the code was wrong. It must not be called inside a transaction.
func (s *Service) CountGuess(ctx context.Context, user id.ID) (done func(wrong bool) error, err error) {
	return s.countCode(ctx, guessLimits(user), "Too many wrong codes. Wait %s, then start again in the program.")
}

// CountPromoCode is CountGuess for a promo code, by the account that redeems it.
func (s *Service) CountPromoCode(ctx context.Context, of id.ID) (done func(wrong bool) error, err error) {
	limits := []limit{{"promo-code/" + string(of), codesPerUser}}
	return s.countCode(ctx, limits, "Too many wrong promo codes. Wait %s, then try again.")
}

// CountSetupCode is CountGuess for a code of the setup page, by the network that it comes from.
func (s *Service) CountSetupCode(ctx context.Context, from netip.Addr) (done func(wrong bool) error, err error) {
	return s.countCode(ctx, setupLimits(from), "Too many wrong codes from your address. Wait %s, then try again.")
}

// countCode counts an attempt. The format has one %s, for the time to wait.
func (s *Service) countCode(
	ctx context.Context, limits []limit, format string,
) (done func(wrong bool) error, err error) {
	wait, err := s.throttle.take(ctx, limits)
	if err == nil && wait > 0 {
		err = tooMany(format, wait)
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
