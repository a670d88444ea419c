"""Computes from intent which devices a packet crosses. Pure.

station  an end of the way: a port, and whether intent lets it speak
hosts    what a host has between an instance and its NIC
fabric   the links in use, and the way over them
path     the whole way, from vNIC to vNIC, or where it ends and why
"""
