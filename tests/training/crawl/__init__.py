"""Tests of the crawl, against a local copy of the site."""
