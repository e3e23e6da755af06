"""Connections to a server: conversion of values, and the limit of waiting."""
