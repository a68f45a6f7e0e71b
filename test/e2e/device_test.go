package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/test/servertest"
	"golang.org/x/oauth2"
)

// The device flow of golang.org/x/oauth2 gets a key from the released program, approved by the
// demo user.
func TestDeviceAuthorization(t *testing.T) {
	servertest.Engines(t, func(t *testing.T, args ...string) {
		s := servertest.Start(t, append(args, "--sim", "--demo")...)
		var demo struct{ Email, Password string }
		file, err := os.ReadFile(filepath.Join(s.Dir, "demo.json"))
		if err == nil {
			err = json.Unmarshal(file, &demo)
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		config := oauth2.Config{ClientID: "billet on somewhere", Endpoint: oauth2.Endpoint{
			DeviceAuthURL: s.URL + "/api/v1/account/device/authorize", TokenURL: s.URL + "/api/v1/account/device/token",
		}}
		da, err := config.DeviceAuth(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if da.VerificationURI != s.URL+"/device" {
			t.Errorf("got verification_uri %q, want %q", da.VerificationURI, s.URL+"/device")
		}

		user := &browser{t: t, s: s}
		user.call(201, "POST", "/sessions", map[string]string{"email": demo.Email, "password": demo.Password})
		found := user.call(200, "POST", "/device-authorizations/lookup", map[string]string{"userCode": da.UserCode})
		if text(found.Data, "clientId") != "billet on somewhere" || text(found.Data, "address") != "127.0.0.1" {
			t.Errorf("lookup: got %s", found.Body)
		}
		approved := user.call(200, "POST", "/device-authorizations/approve", map[string]any{
			"userCode": da.UserCode, "name": "somewhere", "spendingLimits": map[string]any{"maxDeployments": 0},
		})
		da.Interval = 1
		token, err := config.DeviceAccessToken(ctx, da)
		if err != nil {
			t.Fatal(err)
		}
		key := token.AccessToken
		if token.Extra("key_id") != text(approved.Data, "id") {
			t.Errorf("got key %v, want %s", token.Extra("key_id"), text(approved.Data, "id"))
		}

		// The key and its limits survive a restart.
		s.Kill()
		s.Restart()
		if a := s.Call(key, "GET", "/wallet", nil); a.Status != 200 {
			t.Errorf("GET /wallet: got %d: %s", a.Status, a.Body)
		}
		if a := s.Call(key, "POST", "/deployments", deployBody(t, "x")); a.Status != 403 ||
			a.Code() != "KEY_LIMIT_REACHED" {
			t.Errorf("POST /deployments: got %d, want 403 KEY_LIMIT_REACHED: %s", a.Status, a.Body)
		}
		config.Endpoint.TokenURL = s.URL + "/api/v1/account/device/token" // the address may have changed
		_, err = config.DeviceAccessToken(ctx, da)
		if refused, is := errors.AsType[*oauth2.RetrieveError](err); !is || refused.ErrorCode != "invalid_grant" {
			t.Errorf("DeviceAccessToken with a used code: got %v, want invalid_grant", err)
		}
		for _, secret := range []string{key, da.DeviceCode, da.UserCode} {
			if strings.Contains(s.Log(), secret) {
				t.Errorf("%s is in the log", secret)
			}
		}
	})
}
